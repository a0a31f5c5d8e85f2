select h.id, cast(h.job_ids as pg_catalog.text) as job_ids
from "we""ird: 50% Schema"._private_sqla_holds h
where pg_catalog.pg_try_advisory_xact_lock_shared(h.id)
  and greatest(h.owned_until, pg_catalog.pg_postmaster_start_time() + interval '10 seconds') <= pg_catalog.now()
order by h.id
