"""Calls of the schema's functions, for `gw_sqla.repository`.

add_jobs takes its specs as one JSON text, which the server turns into job_spec values by name: any
number of jobs is one parameter and one round trip, and no driver needs to know the composite type.

A task that the function inserts is not seen by the statement that calls it: ``task_identifier`` is null then, and the
caller, who gave it, fills it in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Integer
from sqlalchemy.sql.selectable import TextualSelect
from sqlalchemy.sql.type_api import TypeEngine

from gw_sqla.statements.quoting import BIGINTS, JOB_COLUMNS, JOB_SELECTED, TEXT, TEXTS, TIMESTAMP, statement

__all__ = [
    "add_job",
    "add_jobs",
    "add_jobs_counting",
    "add_jobs_deduplicating",
    "complete_jobs",
    "force_unlock_workers",
    "permanently_fail_jobs",
    "remove_job",
    "reschedule_jobs",
]


def _columns(only_ids: bool) -> str:
    return "j.id" if only_ids else JOB_SELECTED


def _types(only_ids: bool) -> dict[str, TypeEngine[Any]]:
    return {"id": JOB_COLUMNS["id"]} if only_ids else JOB_COLUMNS


@lru_cache
def add_job(schema: str) -> TextualSelect:
    """``add_job``: one job; parameters as the function's, payload as JSON text."""
    return statement(
        f"select\n  {JOB_SELECTED}\nfrom __schema__.add_job(:identifier, cast(:payload as pg_catalog.json), "
        ":queue_name, :run_at, :max_attempts, :job_key, :priority, :flags, :job_key_mode) j",
        schema,
        identifier=TEXT,
        payload=TEXT,
        queue_name=TEXT,
        run_at=TIMESTAMP,
        max_attempts=Integer,
        job_key=TEXT,
        priority=Integer,
        flags=TEXTS,
        job_key_mode=TEXT,
    ).columns(**JOB_COLUMNS)


_SPECS = "pg_catalog.json_populate_recordset(cast(null as __schema__.job_spec), cast(:specs as pg_catalog.json)) s"
_ADD_JOBS = (
    f"__schema__.add_jobs(coalesce((select pg_catalog.array_agg(s) from {_SPECS}), '{{}}'), :job_key_preserve_run_at) j"
)


@lru_cache
def add_jobs(schema: str) -> TextualSelect:
    """``add_jobs``: ``specs`` is a JSON array of objects with the fields of job_spec."""
    return statement(
        f"select\n  {JOB_SELECTED}\nfrom {_ADD_JOBS}", schema, specs=TEXT, job_key_preserve_run_at=Boolean
    ).columns(**JOB_COLUMNS)


@lru_cache
def add_jobs_counting(schema: str) -> TextualSelect:
    """``add_jobs``, returning how many were added and their keys, which Graphile Worker's function may leave out."""
    return statement(
        "select pg_catalog.count(*) as added, pg_catalog.array_agg(j.key) filter (where j.key is not null) as keys\n"
        f"from {_ADD_JOBS}",
        schema,
        specs=TEXT,
        job_key_preserve_run_at=Boolean,
    ).columns(added=Integer, keys=TEXTS)


@lru_cache
def add_jobs_deduplicating(schema: str) -> TextualSelect:
    """``add_job`` in the mode unsafe_dedupe, which ``add_jobs`` does not have, for each of ``specs`` in turn."""
    return statement(
        f"select\n  {JOB_SELECTED}\nfrom {_SPECS}\ncross join lateral __schema__.add_job(s.identifier, s.payload, "
        "s.queue_name, s.run_at, s.max_attempts, s.job_key, s.priority, s.flags, 'unsafe_dedupe') j",
        schema,
        specs=TEXT,
    ).columns(**JOB_COLUMNS)


@lru_cache
def remove_job(schema: str) -> TextualSelect:
    """``remove_job``: no row where no job has the key."""
    return statement(
        f"select\n  {JOB_SELECTED}\nfrom __schema__.remove_job(:job_key) j where j.id is not null", schema, job_key=TEXT
    ).columns(**JOB_COLUMNS)


@lru_cache
def complete_jobs(schema: str, *, only_ids: bool = False) -> TextualSelect:
    """``complete_jobs``: the rows that were deleted, or their ids."""
    sql = f"select\n  {_columns(only_ids)}\nfrom __schema__.complete_jobs(:job_ids) j"
    return statement(sql, schema, job_ids=BIGINTS).columns(**_types(only_ids))


@lru_cache
def permanently_fail_jobs(schema: str, *, only_ids: bool = False) -> TextualSelect:
    """``permanently_fail_jobs``: the rows that were touched, or their ids."""
    sql = f"select\n  {_columns(only_ids)}\nfrom __schema__.permanently_fail_jobs(:job_ids, :error_message) j"
    return statement(sql, schema, job_ids=BIGINTS, error_message=TEXT).columns(**_types(only_ids))


@lru_cache
def reschedule_jobs(schema: str, *, only_ids: bool = False) -> TextualSelect:
    """``reschedule_jobs``: the rows that were touched, or their ids; a null argument keeps what is there.

    But where ``run_now``, or for a job that has failed permanently and is given attempts, a null ``run_at`` is now.
    """
    arguments = ":priority, :attempts, :max_attempts"
    return statement(
        f"""with named as (
  select
    coalesce(pg_catalog.array_agg(n.id) filter (where n.is_failed), '{{}}') as failed,
    coalesce(pg_catalog.array_agg(n.id) filter (where not n.is_failed), '{{}}') as others
  from (
    select j.id, j.attempts >= j.max_attempts as is_failed
    from __schema__._private_jobs j
    where j.id = any (:job_ids)
  ) n
)
select
  {_columns(only_ids)}
from named
cross join lateral (
  select f.*
  from __schema__.reschedule_jobs(
    named.failed,
    coalesce(:run_at, case when :run_now or coalesce(:attempts, :max_attempts) is not null then pg_catalog.now() end),
    {arguments}
  ) f
  union all
  select o.*
  from __schema__.reschedule_jobs(
    named.others, coalesce(:run_at, case when :run_now then pg_catalog.now() end), {arguments}
  ) o
) j""",
        schema,
        job_ids=BIGINTS,
        run_at=TIMESTAMP,
        run_now=Boolean,
        priority=Integer,
        attempts=Integer,
        max_attempts=Integer,
    ).columns(**_types(only_ids))


@lru_cache
def force_unlock_workers(schema: str) -> TextualSelect:
    """``force_unlock_workers``: returns nothing of use."""
    return statement(
        "select 1 as done from __schema__.force_unlock_workers(:worker_ids)", schema, worker_ids=TEXTS
    ).columns(done=Integer)
