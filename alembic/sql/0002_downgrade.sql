drop index __schema__.sqla_jobs_queue_index;
