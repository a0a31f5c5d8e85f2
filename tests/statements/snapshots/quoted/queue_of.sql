-- $1 id
select
  q.queue_name, q.locked_by, q.locked_at
from "we""ird: 50% Schema"._private_job_queues q
where q.id = $1::INTEGER
