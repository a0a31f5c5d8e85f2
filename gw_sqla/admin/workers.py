"""Workers as people see them: ours, by the register, and whoever else holds locks."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gw_sqla.admin.bounded import BoundedReading
from gw_sqla.admin.pages import NamePage
from gw_sqla.statements import register

__all__ = ["LockOwner", "Parts", "Worker", "find_parts", "known_workers"]

MOST_WORKERS = 1000
"""How many workers are looked at where all that live are meant."""
_ALL = NamePage(None, None, MOST_WORKERS)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker pool of gw_sqla's, as it registered; what an older or a newer version does not say is None.

    ``tasks``: those that it runs; ``forwarded``: those of them that it forwards. ``forbidden_flags``,
    ``accepted_flags``, ``flag_allowlist``: as in `gw_sqla.RunnerSettings`; the last is None too where it has none.
    """

    pool_id: str
    is_alive: bool
    started_at: datetime
    last_heartbeat_at: datetime
    heartbeat_threshold: timedelta
    host: str | None
    pid: int | None
    version: str | None
    concurrency: int | None
    tasks: frozenset[str] | None
    forbidden_flags: frozenset[str] | None
    accepted_flags: frozenset[str] | None
    flag_allowlist: frozenset[str] | None
    forwarded: frozenset[str] | None = None

    def knows(self, task: str | None) -> bool:
        """Whether it runs this task."""
        return self.tasks is not None and task in self.tasks

    def takes(self, flags: frozenset[str]) -> bool:
        """Whether it runs jobs with these flags, as far as it says."""
        if flags & (self.forbidden_flags or frozenset()):
            return False
        if self.accepted_flags and not flags & self.accepted_flags:
            return False
        return self.flag_allowlist is None or flags <= self.flag_allowlist


@dataclass(frozen=True, slots=True)
class LockOwner:
    """Who holds locks: of how many jobs and queues, the oldest since when; ``worker`` is None where it is none of ours.

    Workers of Graphile Worker (Node.js and Rust) are such, and those that are gone without having been recovered.
    """

    locked_by: str
    jobs: int
    queues: int
    since: datetime
    worker: Worker | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What need not be in a schema: the register of workers, pauses, snoozes, the indexes for reading."""

    register: bool
    pauses: bool
    snoozes: bool
    failed_index: bool
    turn_index: bool


def find_parts(reading: BoundedReading, schema: str) -> Parts:
    """Look which are there."""
    [row] = reading.ask(register.find_parts(schema))
    return Parts(row.register, row.pauses, row.snoozes, row.failed_index, row.turn_index)


def known_workers(
    reading: BoundedReading,
    schema: str,
    parts: Parts,
    page: NamePage = _ALL,
    *,
    ids: Collection[str] | None = None,
) -> list[Worker]:
    """Read the register, those of ``ids`` only if given."""
    if not parts.register:
        return []
    parameters = page.parameters | {"ids": None if ids is None else sorted(ids)}
    rows = reading.ask(register.known_workers(schema, backwards=page.backwards), parameters)
    return [_worker(row) for row in page.in_order(list(rows))]


def _worker(row: Any) -> Worker:
    facts: Any = json.loads(row.metadata)
    facts = facts if isinstance(facts, dict) else {}

    def fact(name: str, kind: type) -> Any:
        value = facts.get(name)
        return value if isinstance(value, kind) else None

    def names(name: str) -> frozenset[str] | None:
        value = fact(name, list)
        return None if value is None else frozenset(one for one in value if isinstance(one, str))

    return Worker(
        row.pool_id,
        row.is_alive,
        row.started_at,
        row.last_heartbeat_at,
        row.heartbeat_threshold,
        fact("host", str),
        fact("pid", int),
        fact("version", str),
        fact("concurrency", int),
        names("tasks"),
        names("forbidden_flags"),
        names("accepted_flags"),
        names("flag_allowlist"),
        names("forwarded"),
    )
