-- $1 count
delete from "graphile_worker"._private_sqla_forwarded f
where f.id in (
  select f.id
  from "graphile_worker"._private_sqla_forwarded f
  where f.keep_until < pg_catalog.now()
  order by f.keep_until
  limit $1::INTEGER
  for update skip locked
)
returning f.id
