alter table __schema__._private_job_queues reset (fillfactor);
