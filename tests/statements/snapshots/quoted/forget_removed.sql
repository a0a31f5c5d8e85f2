delete from "we""ird: 50% Schema"._private_sqla_removed r
where r.removed_at < pg_catalog.now() - interval '1 day'
returning r.id
