"""The whole queue in a few figures, for a monitor that asks again and again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import Count, ScanLimits
from gw_sqla.admin.workers import find_parts, known_workers
from gw_sqla.jobs.argument_checks import check_count
from gw_sqla.statements import fleet, job_reports, register
from gw_sqla.types import JobState

__all__ = ["Fleet", "ForwardedTask", "ReadyTask", "read_fleet"]

_ROWS = 20_000
"""Of jobs in each state; more cost more than a monitor's answer is worth."""
_MOST_TASKS = 1000


@dataclass(frozen=True, slots=True)
class ReadyTask:
    """A task with ready jobs: how many, for how many seconds the oldest has been ready, workers of ours that run it.

    A job is ready from its ``run_at``, or from when it was added, if that was later.
    """

    identifier: str
    ready: Count
    oldest_seconds: float
    workers: int


@dataclass(frozen=True, slots=True)
class ForwardedTask:
    """A task that registered workers forward, and for how many seconds its oldest ready job has been ready.

    0 where none is; jobs that are being sent are not ready. `gw_sqla.admin.Admin.list_forward_lag` counts these, too.
    A worker that was stopped is registered no more; one that has died is until another has recovered it.
    """

    identifier: str
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The figures.

    ``states``: jobs in each state; those that are not exact are lower bounds. ``oldest_ready_seconds``: of all ready
    jobs, None where there is none. ``tasks``: those with ready jobs, of the oldest first. ``workers``, ``slots``: of
    gw_sqla's, that live; ``dead_workers``: registered ones that do not. ``foreign_owners``: who has locks and is not
    registered, such as workers of Graphile Worker's (of the newest jobs and queues that were looked at). ``forwarded``:
    the tasks that are forwarded, as many at most as ``tasks``, those that are furthest behind.
    """

    states: Mapping[JobState, Count]
    oldest_ready_seconds: float | None
    tasks: tuple[ReadyTask, ...]
    workers: int
    slots: int
    dead_workers: int
    foreign_owners: int
    forwarded: tuple[ForwardedTask, ...] = ()


def read_fleet(session: Session, schema: str, most_tasks: int, limits: ScanLimits) -> Fleet:
    """Read them."""
    check_count("most_tasks", most_tasks, _MOST_TASKS)
    few = replace(limits, rows=min(limits.rows, _ROWS)) if isinstance(limits, ScanLimits) else limits
    with bounded(session, schema, few) as reading:
        parts = find_parts(reading, schema)
        workers = known_workers(reading, schema, parts)
        forwarded = frozenset[str]().union(*(worker.forwarded or () for worker in workers))
        asked = {"rows": few.rows, "tasks": _MOST_TASKS if forwarded else most_tasks}
        total, *rows = reading.ask(fleet.waiting_by_task(schema), asked)
        failed = reading.ask(job_reports.tasks_failed(schema, seeking=parts.failed_index), {"rows": few.rows})
        locked = reading.ask(job_reports.tasks_locked(schema), {"rows": few.rows})
        owners = {row.locked_by for row in reading.ask(register.lock_owners(schema), {"rows": few.rows})}
    alive = [worker for worker in workers if worker.is_alive]
    return Fleet(
        states={
            JobState.READY: Count(total.ready, not total.cut_ready),
            JobState.RETRYING: Count(total.retrying, not total.cut),
            JobState.SCHEDULED: Count(total.scheduled, not total.cut),
            JobState.LOCKED: _sum(locked, few.rows),
            JobState.FAILED: _sum(failed, few.rows),
        },
        oldest_ready_seconds=total.age,
        tasks=tuple(
            ReadyTask(
                row.identifier,
                Count(row.ready, not total.cut_ready),
                row.age,
                sum(worker.knows(row.identifier) for worker in alive),
            )
            for row in rows[:most_tasks]
        ),
        workers=len(alive),
        slots=sum(worker.concurrency or 0 for worker in alive),
        dead_workers=len(workers) - len(alive),
        foreign_owners=len(owners - {worker.pool_id for worker in workers}),
        forwarded=_behind(forwarded, {row.identifier: row.age for row in rows})[:most_tasks],
    )


def _behind(forwarded: Collection[str], ages: Mapping[str, float]) -> tuple[ForwardedTask, ...]:
    found = [ForwardedTask(identifier, ages.get(identifier, 0.0)) for identifier in sorted(forwarded)]
    return tuple(sorted(found, key=lambda task: task.oldest_seconds, reverse=True))


def _sum(rows: Sequence[Any], most: int) -> Count:
    seen = rows[0].seen if rows else 0
    return Count(sum(row.jobs for row in rows), seen < most)
