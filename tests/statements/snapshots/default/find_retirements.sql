-- $1 retirements
select pg_catalog.to_regclass($1::pg_catalog.text) is not null as found
