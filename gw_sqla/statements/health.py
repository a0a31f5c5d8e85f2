"""What the server and the worker schema say of their health. Catalog and statistics; of jobs, what holds locks."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Double, Integer, Text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import FIRST_DAY, LAST_DAY, TEXT, TEXTS, TIMESTAMP, statement

__all__ = [
    "bound",
    "connections",
    "held_locks",
    "hidden_tables",
    "ledger",
    "notify",
    "server",
    "storage",
    "stuck_queues",
    "transactions",
    "turnover",
    "workers_alive",
]

_SECONDS = "cast(extract(epoch from pg_catalog.clock_timestamp() - {}) as double precision)"


@lru_cache
def server(schema: str) -> TextualSelect:
    """Select one row of what the server is like, with its clock."""
    return statement(
        """select
  cast(pg_catalog.current_setting('server_version_num') as integer) as version_num,
  pg_catalog.current_setting('server_version') as version,
  pg_catalog.current_setting('server_encoding') as encoding,
  pg_catalog.pg_is_in_recovery() as in_recovery,
  cast(pg_catalog.current_setting('default_transaction_read_only') as boolean) as read_only,
  pg_catalog.pg_notification_queue_usage() as notify_usage,
  pg_catalog.pg_backend_pid() as pid,
  pg_catalog.clock_timestamp() as now""",
        schema,
    ).columns(
        version_num=Integer,
        version=Text,
        encoding=Text,
        in_recovery=Boolean,
        read_only=Boolean,
        notify_usage=Double,
        pid=Integer,
        now=TIMESTAMP,
    )


@lru_cache
def connections(schema: str) -> TextualSelect:
    """Select the limits of connections that hold here, -1 for none, and how many of each there are."""
    return statement(
        """select limits.name, limits.most, limits.used
from (
  select
    'server' as name,
    cast(pg_catalog.current_setting('max_connections') as integer)
      - cast(pg_catalog.current_setting('superuser_reserved_connections') as integer)
      - cast(coalesce(pg_catalog.current_setting('reserved_connections', true), '0') as integer) as most,
    (select cast(pg_catalog.sum(d.numbackends) as integer) from pg_catalog.pg_stat_database d) as used
  union all
  select
    'database', b.datconnlimit,
    (select d.numbackends from pg_catalog.pg_stat_database d where d.datname = b.datname)
  from pg_catalog.pg_database b
  where b.datname = pg_catalog.current_database()
  union all
  select
    'role', r.rolconnlimit,
    (
      select cast(pg_catalog.count(*) as integer)
      from pg_catalog.pg_stat_activity a
      where a.usesysid = r.oid
    )
  from pg_catalog.pg_roles r
  where r.rolname = session_user
) as limits""",
        schema,
    ).columns(name=Text, most=Integer, used=Integer)


@lru_cache
def transactions(schema: str) -> TextualSelect:
    """Select what has held back vacuum longest in this database: the pid or the prepared transaction, its seconds.

    ``hidden`` counts the sessions whose transactions the role may not see.
    """
    return statement(
        f"""with held as (
  select
    a.pid, cast(null as pg_catalog.text) as gid, a.application_name as application, a.state,
    {_SECONDS.format("a.xact_start")} as seconds
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database()
    and a.backend_type = 'client backend'
    and a.xact_start is not null
    and a.pid <> pg_catalog.pg_backend_pid()
  union all
  select null, p.gid, null, 'prepared', {_SECONDS.format("p.prepared")}
  from pg_catalog.pg_prepared_xacts p
  where p.database = pg_catalog.current_database()
)
select h.pid, h.gid, h.application, h.state, h.seconds, s.hidden
from (
  select cast(pg_catalog.count(*) as integer) as hidden
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database() and a.backend_type is null
) as s
left join (select * from held order by seconds desc limit 1) as h on true""",
        schema,
    ).columns(pid=Integer, gid=Text, application=Text, state=Text, seconds=Double, hidden=Integer)


@lru_cache
def hidden_tables(schema: str) -> TextualSelect:
    """Select those of ``tables`` whose rows row level security hides from the role, as no policy is for it."""
    return statement(
        """select c.relname as name
from pg_catalog.pg_class c
where c.relnamespace = pg_catalog.to_regnamespace(:namespace)
  and c.relname = any (:tables)
  and pg_catalog.has_table_privilege(c.oid, 'SELECT')
  and pg_catalog.row_security_active(c.oid)
  and not exists (
    select from pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) as named
    where p.polrelid = c.oid and p.polpermissive
      and (named = cast(0 as pg_catalog.oid) or pg_catalog.pg_has_role(named, 'USAGE'))
  )
order by c.relname""",
        schema,
        namespace=TEXT,
        tables=TEXTS,
    ).columns(name=Text)


@lru_cache
def workers_alive(schema: str) -> TextualSelect:
    """Count our workers that live, and the slots they have."""
    return statement(
        """select
  cast(pg_catalog.count(*) as integer) as workers,
  cast(coalesce(pg_catalog.sum(case
    when pg_catalog.jsonb_typeof(w.metadata operator(pg_catalog.->) 'concurrency') = 'number'
    then cast(w.metadata operator(pg_catalog.->>) 'concurrency' as integer)
  end), 0) as integer) as slots
from __schema__._private_sqla_workers w
where w.last_heartbeat_at + w.heartbeat_threshold >= pg_catalog.now()""",
        schema,
    ).columns(workers=Integer, slots=Integer)


@lru_cache
def held_locks(schema: str) -> TextualSelect:
    """Select who holds locks: of how many jobs and queues, for how long; if it is ours, since when it is dead."""
    return statement(
        f"""with held as (
  select j.locked_by, j.locked_at, 1 as jobs, 0 as queues
  from __schema__._private_jobs j
  where j.locked_by is not null
  union all
  select q.locked_by, q.locked_at, 0, 1
  from __schema__._private_job_queues q
  where q.locked_by is not null
)
select
  h.locked_by as owner,
  cast(pg_catalog.sum(h.jobs) as bigint) as jobs,
  cast(pg_catalog.sum(h.queues) as bigint) as queues,
  {_SECONDS.format("pg_catalog.min(h.locked_at)")} as seconds,
  {_SECONDS.format("(w.last_heartbeat_at + w.heartbeat_threshold)")} as dead_seconds
from held h
left join __schema__._private_sqla_workers w on w.pool_id = h.locked_by
group by h.locked_by, w.last_heartbeat_at, w.heartbeat_threshold
order by seconds desc
limit 1000""",
        schema,
    ).columns(owner=TEXT, jobs=BigInteger, queues=BigInteger, seconds=Double, dead_seconds=Double)


@lru_cache
def stuck_queues(schema: str) -> TextualSelect:
    """Select queues that were locked over a minute ago by who has none of their jobs: nobody will unlock them."""
    return statement(
        f"""select q.queue_name, q.locked_by as owner, {_SECONDS.format("q.locked_at")} as seconds
from __schema__._private_job_queues q
where q.locked_at < pg_catalog.clock_timestamp() - interval '1 minute' and not exists (
  select from __schema__._private_jobs j where j.job_queue_id = q.id and j.locked_by = q.locked_by
)
order by q.locked_at
limit 1000""",
        schema,
    ).columns(queue_name=TEXT, owner=TEXT, seconds=Double)


@lru_cache
def storage(schema: str) -> TextualSelect:
    """Select the schema's tables and indexes: bytes, rows, dead rows, when autovacuum comes, whether it is off."""
    return statement(
        """with tables as (
  select
    c.oid, c.relname,
    greatest(s.n_live_tup, cast(c.reltuples as bigint), 0) as live,
    s.n_dead_tup as dead,
    cast(pg_catalog.current_setting('autovacuum') as boolean)
      and not coalesce('autovacuum_enabled=false' = any (c.reloptions), false) as vacuumed
  from pg_catalog.pg_class c
  join pg_catalog.pg_stat_all_tables s on s.relid = c.oid
  where c.relnamespace = pg_catalog.to_regnamespace(:namespace)
    and c.relkind = 'r'
    and pg_catalog.starts_with(c.relname, '_private_')
)
select
  t.relname as name, false as is_index, pg_catalog.pg_relation_size(t.oid) as bytes, t.live, t.dead, t.vacuumed,
  cast(pg_catalog.current_setting('autovacuum_vacuum_threshold') as bigint)
    + cast(
      cast(pg_catalog.current_setting('autovacuum_vacuum_scale_factor') as double precision)
      * cast(t.live as double precision) as bigint
    ) as threshold
from tables t
union all
select c.relname, true, pg_catalog.pg_relation_size(c.oid), t.live, null, true, null
from tables t
join pg_catalog.pg_index i on i.indrelid = t.oid
join pg_catalog.pg_class c on c.oid = i.indexrelid""",
        schema,
        namespace=TEXT,
    ).columns(
        name=Text,
        is_index=Boolean,
        bytes=BigInteger,
        live=BigInteger,
        dead=BigInteger,
        vacuumed=Boolean,
        threshold=BigInteger,
    )


@lru_cache
def ledger(schema: str) -> TextualSelect:
    """Select the newest ``limit`` migrations of the ledger, newest first."""
    return statement(
        f"""select m.id, least(greatest(m.ts, {FIRST_DAY}), {LAST_DAY}) as ts, m.breaking
from __schema__.migrations m order by m.id desc limit :limit""",
        schema,
        limit=Integer,
    ).columns(id=Integer, ts=TIMESTAMP, breaking=Boolean)


@lru_cache
def turnover(schema: str) -> TextualSelect:
    """Select how many jobs were inserted and deleted in all, as PostgreSQL's statistics have it: a second late."""
    return statement(
        """select s.n_tup_ins as inserted, s.n_tup_del as deleted
from pg_catalog.pg_stat_all_tables s
where s.schemaname = cast(:name as pg_catalog.name) and s.relname = '_private_jobs'""",
        schema,
        name=TEXT,
    ).columns(inserted=BigInteger, deleted=BigInteger)


@lru_cache
def bound(schema: str) -> TextualSelect:
    """Let no statement of this transaction take longer than ``milliseconds``."""
    return statement(
        "select pg_catalog.set_config('statement_timeout', :milliseconds, true) as was_set", schema, milliseconds=TEXT
    ).columns(was_set=Text)


@lru_cache
def notify(schema: str) -> TextualSelect:
    """Send a notification on ``channel``."""
    return statement("select pg_catalog.pg_notify(:channel, '')", schema, channel=TEXT).columns(pg_notify=Text)
