-- $1 milliseconds
select pg_catalog.set_config('statement_timeout', $1::pg_catalog.text, true) as was_set
