select exists (select from "we""ird: 50% Schema"._private_sqla_workers w where w.last_heartbeat_at + w.heartbeat_threshold < now()) as dead
