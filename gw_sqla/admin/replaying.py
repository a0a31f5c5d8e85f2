"""Replaying: jobs that were forwarded, and are kept, are added anew.

They are new jobs, with ids of their own, so that neither a broker nor a consumer drops them as repeats; due now,
without keys, which could replace jobs that wait; in the order in which they were sent. Once forwarded they are kept
anew, which a replay does not see: it means what was there when it began.

A thousand are added in a statement, all in the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin import audit
from gw_sqla.calls.asking import ask
from gw_sqla.errors import InvalidJobError, SchemaBehindError
from gw_sqla.jobs.argument_checks import check_ids, check_run_at, check_text
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.statements import kept_jobs, rust_tables

__all__ = ["ForwardedJobs", "Replayed", "count_forwarded", "replay_forwarded"]

_TABLE = "_private_sqla_forwarded"
_AT_ONCE = 1000
_LAST = 2**63 - 1
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedJobs:
    """Which of the jobs that were forwarded are meant: those that fit all that is said.

    ``task``: the one that they are of. ``since`` and ``until`` (not included): when they were finished, with a time
    zone. ``job_ids``: the ids that they had. ``payload``: JSON that theirs contains, as PostgreSQL's ``@>`` has it.
    """

    task: Task[Any] | str
    queue_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    job_ids: Sequence[int] | None = None
    payload: Any = None

    def parameters(self) -> dict[str, Any]:
        """Return what a statement is told. Raises InvalidJobError."""
        task = identifier_of(self.task)
        for name, text in (("task", task), ("queue_name", self.queue_name)):
            if text is not None:
                check_text(name, text, 128)
        for name, time in (("since", self.since), ("until", self.until)):
            try:
                check_run_at(time)
            except InvalidJobError as error:
                raise InvalidJobError(name, error.problem) from error
        return {
            "task": task,
            "queue_name": self.queue_name,
            "since": self.since,
            "until": self.until,
            "job_ids": None if self.job_ids is None else check_ids(self.job_ids, "job_ids"),
            "payload": None if self.payload is None else to_json(self.payload),
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many jobs were added; ``cursor``: where to go on, None where that was all."""

    jobs: int
    cursor: str | None = None


def count_forwarded(session: Session, schema: str, jobs: ForwardedJobs) -> int:
    """Count those that are kept."""
    parameters = jobs.parameters()
    _require_table(session, schema)
    return int(_count(session, schema, parameters).jobs)


def replay_forwarded(
    session: Session, schema: str, jobs: ForwardedJobs, most: int | None, cursor: str | None, actor: str | None
) -> Replayed:
    """Add those that are kept anew."""
    parameters = jobs.parameters()
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise InvalidJobError("most", f"must be 1 or more, or None, is {most!r}")
    after, last = _place(cursor)
    audit.check_audit(session, schema, actor)
    _require_table(session, schema)
    if last is None:
        last = _count(session, schema, parameters).last or 0
    added = 0
    while True:
        count = _AT_ONCE if most is None else min(_AT_ONCE, most - added)
        [row] = ask(session, schema, kept_jobs.replay(schema), parameters | _range(after, last) | {"count": count})
        added += row.jobs
        after = row.last or last
        is_all = row.jobs < count
        if is_all or added == most:
            break
    if actor is not None:
        audit.write(session, schema, actor, "replay", None, f"task:{parameters['task']}", added, 0)
    return Replayed(added, None if is_all or after >= last else f"{after}-{last}")


def _count(session: Session, schema: str, parameters: dict[str, Any]) -> Any:
    [row] = ask(session, schema, kept_jobs.count_kept(schema), parameters | _range(0, _LAST))
    return row


def _range(after: int, last: int) -> dict[str, int]:
    return {"after": after, "last": last}


def _place(cursor: str | None) -> tuple[int, int | None]:
    if cursor is None:
        return 0, None
    found = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if found is None:
        raise InvalidJobError("cursor", "must be the cursor of a replay")
    return int(found[1]), int(found[2])


def _require_table(session: Session, schema: str) -> None:
    [row] = ask(session, schema, rust_tables.find_table(schema, _TABLE))
    if not row.found:
        raise SchemaBehindError(
            schema, f"schema {schema!r} has no table {_TABLE}: run 'python -m gw_sqla migrate' for replays"
        )
