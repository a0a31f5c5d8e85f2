select exists (select from "graphile_worker"._private_sqla_workers w where w.last_heartbeat_at + w.heartbeat_threshold < now()) as dead
