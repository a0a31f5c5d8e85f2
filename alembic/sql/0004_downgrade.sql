drop index __schema__.sqla_jobs_ready_index;
