-- A queue is written twice for each of its jobs, when it is locked and when it is unlocked. Neither changes what an index
-- has, so where the page has room for the new version, no index is written. Pages that are there fill up as before.
alter table __schema__._private_job_queues set (fillfactor = 50);
