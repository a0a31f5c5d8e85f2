"""Acts on jobs, those of a list of ids or all that fit a filter, a thousand at a time.

Each thousand is a *chunk*: its jobs are found (by id, within the limits of reading), their rows are locked without
waiting for anybody, the schema's function is called for them, all in a savepoint: a chunk is done or it is not. What a
worker has, or another transaction, is left out, and told.

A filter means the jobs that were there when it began: neither copies nor jobs that are added meanwhile.

Everything is in the caller's transaction. Who wants to commit in between, so that an outage undoes no more than a
chunk, asks for so many jobs (``most``), commits, and goes on from the cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

from gw_sqla.admin.acted import Acted, LeftOut, WhyLeftOut
from gw_sqla.admin.actions import Action, Complete, EditPayload, Fail, Remove, Reschedule, Retry, RunCopy, check_action
from gw_sqla.admin.audit import check_audit, write_action
from gw_sqla.admin.chosen import FittingJobs, Jobs, ListedJobs, chosen_ids, jobs_to_take
from gw_sqla.admin.values import ScanLimits
from gw_sqla.calls.asking import ask, require_transaction
from gw_sqla.calls.savepoint import savepoint
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_count
from gw_sqla.statements import job_actions, schema_functions

__all__ = ["Progress", "act"]

CHUNK = 1000
_MOST_EXAMPLES = 100
_MOST_COPIES = 1000

Progress: TypeAlias = Callable[[Acted], object]
"""Called after each chunk with what was done so far."""

_AUTOCOMMIT = (
    "the session's connection is in AUTOCOMMIT, so a chunk could be half done: use a session of an engine without "
    "isolation_level='AUTOCOMMIT'"
)


def act(
    session: Session,
    schema: str,
    action: Action,
    jobs: Jobs,
    most: int | None,
    cursor: str | None,
    actor: str | None,
    on_progress: Progress | None,
    limits: ScanLimits,
) -> Acted:
    """Act on them, ``most`` of them at most."""
    check_action(action)
    if most is not None:
        check_count("most", most, 2**31)
    chosen = chosen_ids(jobs)
    require_transaction(session, schema, _AUTOCOMMIT)
    check_audit(session, schema, actor)
    source = jobs_to_take(session, schema, chosen, cursor, limits)
    tally = _Tally()
    while source.has_more and (most is None or tally.met < most):
        if ids := source.take(CHUNK if most is None else min(CHUNK, most - tally.met)):
            with savepoint(session, schema):
                part = _do(session, schema, action, ids, source.conditions)
            tally.add(part)
            if on_progress is not None:
                on_progress(tally.told(source))
    acted = tally.told(source)
    write_action(session, schema, actor, action, jobs if isinstance(jobs, str) else chosen, acted)
    return acted


@dataclass(frozen=True, slots=True)
class _Part:
    """What was done of a chunk."""

    done: int
    left_out: list[LeftOut]
    copies: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Adds chunks up."""

    done: int = 0
    left_out: Counter[WhyLeftOut] = field(default_factory=Counter)
    examples: list[LeftOut] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)

    @property
    def met(self) -> int:
        return self.done + self.left_out.total()

    def add(self, part: _Part) -> None:
        self.done += part.done
        self.left_out.update(one.why for one in part.left_out)
        self.examples += part.left_out[: _MOST_EXAMPLES - len(self.examples)]
        self.copies += part.copies[: _MOST_COPIES - len(self.copies)]

    def told(self, source: ListedJobs | FittingJobs) -> Acted:
        cursor = source.cursor if source.has_more else None
        return Acted(self.done, dict(self.left_out), tuple(self.examples), tuple(self.copies), cursor)


def _do(
    session: Session, schema: str, action: Action, ids: list[int], conditions: Sequence[ColumnElement[bool]]
) -> _Part:
    if isinstance(action, RunCopy):
        rows: Sequence[Any] = ask(session, schema, job_actions.copy_jobs(schema), {"job_ids": ids})
        copies = sorted(row.copy_id for row in rows)
        rest = _rest(session, schema, ids, {row.id for row in rows}, otherwise=WhyLeftOut.NO_TASK)
        return _Part(len(rows), rest, copies)
    free = [row.id for row in ask(session, schema, job_actions.lock_free(ids, conditions))]
    done: set[int] = set()
    if free:
        statement, parameters = _statement(schema, action)
        done = {row.id for row in ask(session, schema, statement, {"job_ids": free, **parameters})}
    return _Part(len(done), _rest(session, schema, ids, done, otherwise=WhyLeftOut.BUSY))


def _rest(session: Session, schema: str, ids: list[int], done: set[int], *, otherwise: WhyLeftOut) -> list[LeftOut]:
    """Say of each job that was left out why; ``otherwise``: of those that are there and that no worker has."""
    rest = [job_id for job_id in ids if job_id not in done]
    if not rest:
        return []
    rows: Sequence[Any] = ask(session, schema, job_actions.whereabouts(schema), {"job_ids": rest})
    there = {row.id: row for row in rows}
    left_out: list[LeftOut] = []
    for job_id in rest:
        row = there.get(job_id)
        if row is None:
            left_out.append(LeftOut(job_id, WhyLeftOut.GONE))
        elif row.locked_at is not None and otherwise is WhyLeftOut.BUSY:
            left_out.append(LeftOut(job_id, WhyLeftOut.HELD, row.locked_by, row.locked_at))
        else:
            left_out.append(LeftOut(job_id, otherwise))
    return left_out


def _statement(schema: str, action: Action) -> tuple[Executable, dict[str, Any]]:
    unchanged = {"run_at": None, "run_now": False, "priority": None, "attempts": None, "max_attempts": None}
    match action:
        case Complete() | Remove():
            return schema_functions.complete_jobs(schema, only_ids=True), {}
        case Fail(message):
            return schema_functions.permanently_fail_jobs(schema, only_ids=True), {"error_message": message}
        case Retry(run_at):
            given = {"run_at": run_at, "run_now": run_at is None, "attempts": 0}
            return schema_functions.reschedule_jobs(schema, only_ids=True), unchanged | given
        case Reschedule():
            given = {"run_at": action.run_at, "priority": action.priority, "max_attempts": action.max_attempts}
            return schema_functions.reschedule_jobs(schema, only_ids=True), unchanged | given
        case EditPayload():
            return job_actions.edit_payload(schema), {"payload": action.text}
    raise InvalidJobError("action", f"{action!r} is none that changes jobs")
