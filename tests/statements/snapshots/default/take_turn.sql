-- $1 work
-- $2 interval
insert into "graphile_worker"._private_sqla_upkeep as u (work, last_at)
values ($1::pg_catalog.text, pg_catalog.now())
on conflict (work) do update set last_at = pg_catalog.now()
where u.last_at <= pg_catalog.now() - $2::INTERVAL
returning true as taken
