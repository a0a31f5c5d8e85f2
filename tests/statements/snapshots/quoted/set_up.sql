-- $1 sorting
-- $2 milliseconds
select
  pg_catalog.set_config('statement_timeout', cast(b.milliseconds as pg_catalog.text), true),
  pg_catalog.set_config('jit', 'off', true),
  pg_catalog.set_config('enable_seqscan', 'off', true),
  pg_catalog.set_config('enable_bitmapscan', 'off', true),
  pg_catalog.set_config('enable_sort', $1::pg_catalog.text, true),
  pg_catalog.set_config('datestyle', 'ISO', true),
  b.milliseconds
from (
  select least(
    $2::INTEGER,
    case when s.now <> '0' then
      cast(extract(epoch from cast(s.now as interval)) operator(pg_catalog.*) 1000 as int)
    end
  ) as milliseconds
  from (select pg_catalog.current_setting('statement_timeout') as now) s
) b
