"""Queues, tasks and workers, with the figures that one looks for in trouble. All counts are of bounded cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import BoundedReading, OutOfTimeError, bounded
from gw_sqla.admin.pages import NamePage
from gw_sqla.admin.values import Count, ScanLimits
from gw_sqla.admin.workers import LockOwner, Worker, find_parts, known_workers
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_bool, check_text
from gw_sqla.statements import job_reports, register

__all__ = ["QueueInfo", "TaskInfo", "list_lock_owners", "list_queues", "list_tasks", "list_workers"]

_MOST_IN_QUEUE = 1000
"""A page of queues counts no further in each: that many, a hundred times, are read within a tenth of a second."""
_WITHOUT_INDEX = 5
"""Where no index has the jobs in question, one is looked at of so many: each costs so much more."""


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue: waiting jobs, run_at of the one whose turn is next, who has its lock since when.

    ``worker``: the owner of the lock, where it is one of ours.
    """

    name: str
    waiting: Count
    next_run_at: datetime | None
    locked_by: str | None
    locked_at: datetime | None
    worker: Worker | None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task: its jobs by state, run_at of the oldest that is ready, the workers of ours that live and know it.

    Counts that are not exact are of the jobs that were looked at: of waiting jobs those whose turn is next, of the
    others the newest. ``waiting`` counts ready jobs too.
    """

    identifier: str
    waiting: Count
    ready: Count
    oldest_ready: datetime | None
    running: Count
    failed: Count
    workers: tuple[Worker, ...]


def list_queues(
    session: Session, schema: str, only_locked: bool, page: NamePage, limits: ScanLimits
) -> list[QueueInfo]:
    """Read queues by name."""
    check_bool("only_locked", only_locked)
    parameters = page.parameters | {"most": _MOST_IN_QUEUE + 1}
    with bounded(session, schema, limits) as reading:
        asked = job_reports.list_queues(schema, only_locked=only_locked, backwards=page.backwards)
        rows = reading.ask(asked, parameters)
        owners = {row.locked_by for row in rows if row.locked_by is not None}
        parts = find_parts(reading, schema)
        known = known_workers(reading, schema, parts, ids=owners) if owners else []
    workers = {worker.pool_id: worker for worker in known}
    return [
        QueueInfo(
            row.queue_name,
            Count(min(row.jobs, _MOST_IN_QUEUE), row.jobs <= _MOST_IN_QUEUE),
            row.run_at,
            row.locked_by,
            row.locked_at,
            workers.get(row.locked_by),
        )
        for row in rows
    ]


def list_tasks(session: Session, schema: str, page: NamePage, limits: ScanLimits) -> list[TaskInfo]:
    """Read tasks by name."""
    with bounded(session, schema, limits) as reading:
        asked = job_reports.list_tasks(schema, backwards=page.backwards)
        tasks = page.in_order(list(reading.ask(asked, page.parameters)))
        parts = find_parts(reading, schema)
        living = [worker for worker in known_workers(reading, schema, parts) if worker.is_alive]
        few = replace(limits, rows=max(1, limits.rows // _WITHOUT_INDEX))
        waiting = _counts(reading, job_reports.tasks_waiting(schema), limits)
        locked = _counts(reading, job_reports.tasks_locked(schema), few)
        failed = _counts(
            reading,
            job_reports.tasks_failed(schema, seeking=parts.failed_index),
            limits if parts.failed_index else few,
        )
    return [
        TaskInfo(
            task.identifier,
            waiting.of(task.id, "waiting"),
            waiting.of(task.id, "ready"),
            waiting.oldest(task.id),
            locked.of(task.id, "jobs"),
            failed.of(task.id, "jobs"),
            tuple(worker for worker in living if worker.knows(task.identifier)),
        )
        for task in tasks
    ]


def list_workers(
    session: Session, schema: str, pool_ids: Collection[str] | None, page: NamePage, limits: ScanLimits
) -> list[Worker]:
    """Read our register by the pools' ids."""
    ids = None if pool_ids is None else _pool_ids(pool_ids)
    with bounded(session, schema, limits) as reading:
        return known_workers(reading, schema, find_parts(reading, schema), page, ids=ids)


def list_lock_owners(session: Session, schema: str, limits: ScanLimits) -> list[LockOwner]:
    """Read who has locks."""
    with bounded(session, schema, limits) as reading:
        parts = find_parts(reading, schema)
        rows = reading.ask(register.lock_owners(schema), {"rows": limits.rows})
        known = known_workers(reading, schema, parts, ids=[row.locked_by for row in rows]) if rows else []
    workers = {worker.pool_id: worker for worker in known}
    return [LockOwner(row.locked_by, row.jobs, row.queues, row.since, workers.get(row.locked_by)) for row in rows]


@dataclass(frozen=True, slots=True)
class _Counts:
    rows: dict[int, Any]
    is_exact: bool

    def of(self, task_id: int, column: str) -> Count:
        row = self.rows.get(task_id)
        return Count(getattr(row, column) if row is not None else 0, self.is_exact)

    def oldest(self, task_id: int) -> datetime | None:
        row = self.rows.get(task_id)
        return row.oldest if row is not None and row.has_ready else None


def _counts(reading: BoundedReading, statement: Any, limits: ScanLimits) -> _Counts:
    try:
        rows = reading.ask(statement, {"rows": limits.rows})
    except OutOfTimeError:
        return _Counts({}, is_exact=False)
    seen = rows[0].seen if rows else 0
    return _Counts({row.task_id: row for row in rows}, seen < limits.rows)


def _pool_ids(given: Collection[str]) -> Collection[str]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise InvalidJobError("pool_ids", f"must be a list of ids of pools, not a {type(given).__name__}")
    for one in given:
        check_text("pool_ids", one, 1000)
    return given
