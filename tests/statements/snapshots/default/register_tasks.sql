-- $1 identifiers
insert into "graphile_worker"._private_tasks (identifier)
select i from pg_catalog.unnest($1::pg_catalog.text[]) as i
where not exists (select from "graphile_worker"._private_tasks t where t.identifier = i)
order by i
on conflict (identifier) do nothing
