"""What needs somebody's attention first: found in what the overview has read anyhow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gw_sqla.admin import Choice, Count, FailureGroup, JobFilter, LockOwner, Pause, TaskInfo, Worker
from gw_sqla.filters.words import quoted
from gw_sqla.types import JobState
from gw_sqla.web.templates import span

__all__ = ["Attention", "find"]

_LATE = timedelta(minutes=1)
_VERY_LATE = timedelta(minutes=10)
_RECENT = timedelta(hours=1)
_LONG_HELD = timedelta(hours=4)
_MOST = 5
"""Of a kind that are told."""


@dataclass(frozen=True, slots=True)
class Attention:
    """A sentence, how bad it is (``warn`` or ``bad``), and the page that has more: a path and its query."""

    level: str
    text: str
    path: str
    query: dict[str, str] = field(default_factory=dict)


def find(
    tasks: list[TaskInfo],
    failures: tuple[FailureGroup, ...],
    owners: list[LockOwner],
    pauses: list[Pause],
    workers: list[Worker],
    now: datetime,
) -> list[Attention]:
    """Return what needs attention, the worst first; ``now`` is the database's time."""
    found = [
        *_late(tasks, now),
        *_unknown(tasks),
        *_failing(failures, now),
        *_locks(owners, now),
        *_workers(workers, tasks),
        *_pauses(pauses),
    ]
    return sorted(found, key=lambda one: one.level != "bad")


def _late(tasks: list[TaskInfo], now: datetime) -> Iterator[Attention]:
    ready = [(task.oldest_ready, task.identifier) for task in tasks if task.oldest_ready is not None]
    if not ready:
        return
    oldest, task = min(ready)
    waited = now - oldest
    if waited > _LATE:
        text = f"The oldest ready job, of the task {task}, waits for {span(waited)}."
        only = JobFilter(states=frozenset({JobState.READY}), tasks=Choice(frozenset({task})))
        yield Attention("bad" if waited > _VERY_LATE else "warn", text, "/jobs", {"filter": str(only), "order": "turn"})


def _unknown(tasks: list[TaskInfo]) -> Iterator[Attention]:
    unknown = [task for task in tasks if task.ready.number and not task.workers]
    for task in unknown[:_MOST]:
        text = f"{_jobs(task.ready)} of the task {task.identifier}: ready, and no living worker of gw_sqla's has it."
        yield Attention("warn", text, "/jobs", {"filter": f"state:ready task:{quoted(task.identifier)}"})
    if len(unknown) > _MOST:
        yield Attention("warn", f"So it is with {len(unknown) - _MOST} more tasks.", "/jobs", {"filter": "state:ready"})


def _failing(failures: tuple[FailureGroup, ...], now: datetime) -> Iterator[Attention]:
    recent = [group for group in failures if now - group.last < _RECENT]
    for group in recent[:_MOST]:
        error = f": {group.error[:120]}" if group.error else ""
        given = {"filter": "state:failed"}
        if group.task_identifier is not None:
            given = {"filter": f"state:failed task:{quoted(group.task_identifier)}"}
        text = f"{_jobs(group.jobs)} of the task {group.task_identifier} failed, the last within this hour{error}"
        yield Attention("bad", text, "/jobs", given)


def _locks(owners: list[LockOwner], now: datetime) -> Iterator[Attention]:
    for owner in owners:
        given = {"filter": f"locked-by:{quoted(owner.locked_by)}"}
        held = f"holds {_jobs(owner.jobs)} and {owner.queues:,} queues, the oldest for {span(now - owner.since)}"
        if owner.worker is None:
            if now - owner.since > _LONG_HELD:
                text = f"{owner.locked_by}, which our register does not know, {held}."
                yield Attention("bad", text, "/jobs", given)
        elif not owner.worker.is_alive:
            yield Attention("bad", f"The dead worker {owner.locked_by} {held}.", "/jobs", given)


def _workers(workers: list[Worker], tasks: list[TaskInfo]) -> Iterator[Attention]:
    if any(worker.is_alive for worker in workers):
        return
    if any(task.waiting.number for task in tasks):
        text = "Jobs wait, and no worker of gw_sqla's lives (those of Graphile Worker do not say so)."
        yield Attention("warn", text, "/jobs", {"filter": "state:waiting"})


def _pauses(pauses: list[Pause]) -> Iterator[Attention]:
    for pause in pauses[:_MOST]:
        yield Attention("warn", f"Paused: {pause}.", "/jobs", {"filter": _of(pause)})
    if len(pauses) > _MOST:
        yield Attention("warn", f"{len(pauses) - _MOST} more things are paused.", "/jobs")


def _of(pause: Pause) -> str:
    return "state:waiting" if pause.kind == "everything" else f"state:waiting {pause.kind}:{quoted(pause.name)}"


def _jobs(count: Count | int) -> str:
    number = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{number} job{'' if number == '1' else 's'}"
