drop table __schema__._private_sqla_audit;
drop index __schema__.sqla_jobs_turn_index;
drop index __schema__.sqla_jobs_failed_index;
