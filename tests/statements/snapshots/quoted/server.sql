select
  cast(pg_catalog.current_setting('server_version_num') as integer) as version_num,
  pg_catalog.current_setting('server_version') as version,
  pg_catalog.current_setting('server_encoding') as encoding,
  pg_catalog.pg_is_in_recovery() as in_recovery,
  cast(pg_catalog.current_setting('default_transaction_read_only') as boolean) as read_only,
  pg_catalog.pg_notification_queue_usage() as notify_usage,
  pg_catalog.pg_backend_pid() as pid,
  pg_catalog.clock_timestamp() as now
