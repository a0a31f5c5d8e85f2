"""Pauses and resumes: checks what is meant, which one row of a small table then says; and who did it, for the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import Session

from gw_sqla.admin.audit import check_audit, write
from gw_sqla.calls.asking import ask, require_transaction
from gw_sqla.errors import InvalidJobError, SchemaBehindError
from gw_sqla.filters.words import quoted
from gw_sqla.jobs.argument_checks import check_run_at, check_storable, check_text
from gw_sqla.jobs.pause import Pause, PauseKind, as_pause
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.statements import pauses, rust_tables

__all__ = ["list_pauses", "pause", "resume"]

_AUTOCOMMIT = (
    "the session's connection is in AUTOCOMMIT, so the line of the actor could be lost: use a session of an engine "
    "without isolation_level='AUTOCOMMIT', or leave the actor out"
)
_TABLE = "_private_sqla_pauses"
_LONGEST_NAME = 128
_LONGEST_TEXT = 1000


def pause(
    session: Session,
    schema: str,
    task: Task[Any] | str | None,
    queue_name: str | None,
    everything: bool,
    until: datetime | None,
    reason: str | None,
    paused_by: str | None,
    actor: str | None,
) -> Pause:
    """Pause one thing, or change its pause."""
    kind, name = _one_thing(task, queue_name, everything=everything)
    try:
        check_run_at(until)
    except InvalidJobError as error:
        raise InvalidJobError("until", error.problem) from error
    for argument, text in (("reason", reason), ("paused_by", paused_by)):
        if text is not None:
            check_text(argument, text, _LONGEST_TEXT)
    if not _can_pause(session, schema):
        problem = f"schema {schema!r} has no table {_TABLE}, so nothing can be paused"
        raise SchemaBehindError(schema, f"{problem}: run 'python -m gw_sqla migrate'")
    _check_actor(session, schema, actor)
    paused_by = actor if paused_by is None else paused_by
    parameters = {"kind": kind, "name": name, "paused_until": until, "reason": reason, "paused_by": paused_by}
    [row] = ask(session, schema, pauses.pause(schema), parameters | {"schema_name": schema})
    told = [("until", until), ("reason", reason), ("paused_by", paused_by if paused_by != actor else None)]
    detail = " ".join(f"{argument}={value}" for argument, value in told if value is not None)
    _leave_line(session, schema, actor, "pause", detail, kind, name)
    return as_pause(row)


def resume(
    session: Session,
    schema: str,
    task: Task[Any] | str | None,
    queue_name: str | None,
    everything: bool,
    actor: str | None,
) -> list[Pause]:
    """End the pause of one thing, or, with ``everything``, all pauses."""
    kind, name = _one_thing(task, queue_name, everything=everything)
    _check_actor(session, schema, actor)
    parameters = {"kind": None if everything else kind, "name": name, "schema_name": schema}
    rows = ask(session, schema, pauses.resume(schema), parameters) if _can_pause(session, schema) else ()
    ended = [as_pause(row) for row in rows]
    _leave_line(session, schema, actor, "resume", f"pauses={len(ended)}", kind, name)
    return ended


def list_pauses(session: Session, schema: str) -> list[Pause]:
    """Read what is paused now; nothing is in a schema that gw_sqla has not migrated so far."""
    if not _can_pause(session, schema):
        [jobs_there] = ask(session, schema, rust_tables.find_table(schema, "_private_jobs"))
        if jobs_there.found:
            return []
    return [as_pause(row) for row in ask(session, schema, pauses.find_pauses(schema))]


def _can_pause(session: Session, schema: str) -> bool:
    """Tell whether the schema has the table: one that a peer made has not."""
    [row] = ask(session, schema, rust_tables.find_table(schema, _TABLE))
    return bool(row.found)


def _check_actor(session: Session, schema: str, actor: str | None) -> None:
    """Raise where the line could not be left, or not in the same transaction."""
    if actor is not None:
        require_transaction(session, schema, _AUTOCOMMIT)
        check_audit(session, schema, actor)


def _leave_line(
    session: Session, schema: str, actor: str | None, action: str, detail: str, kind: PauseKind, name: str
) -> None:
    if actor is not None:
        write(session, schema, actor, action, detail, f"{kind}:{quoted(name)}" if name else kind, 0, 0)


def _one_thing(task: Task[Any] | str | None, queue_name: str | None, *, everything: bool) -> tuple[PauseKind, str]:
    if not isinstance(everything, bool):
        raise InvalidJobError("everything", f"must be True or False, is {everything!r}")
    if (task is not None) + (queue_name is not None) + everything != 1:
        raise InvalidJobError("task", "give one of task, queue_name and everything=True")
    if everything:
        return "everything", ""
    argument, name = ("task", identifier_of(task)) if task is not None else ("queue_name", cast("str", queue_name))
    check_storable(argument, name)
    check_text(argument, name, _LONGEST_NAME)
    return ("task" if task is not None else "queue"), name
