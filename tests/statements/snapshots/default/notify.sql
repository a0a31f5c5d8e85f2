-- $1 channel
select pg_catalog.pg_notify($1::pg_catalog.text, '')
