"""Who did what to jobs, and paused, resumed or cleaned up: a line for each action that names its actor, with it.

Lines are kept for `KEPT`: each new one takes away a thousand of those that are older. Payloads are not written.

Rejected: a trigger, which would see what workers do too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.admin.acted import Acted
from gw_sqla.admin.actions import Action, detail_of
from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.pages import check_one_way
from gw_sqla.admin.values import MOST_LISTED, ScanLimits
from gw_sqla.calls.asking import ask
from gw_sqla.errors import SchemaBehindError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_count, check_ids, check_text
from gw_sqla.statements import audit, rust_tables

__all__ = ["KEPT", "AuditLine", "check_audit", "find_audit", "line", "list_audit", "no_audit", "write", "write_action"]

KEPT = timedelta(days=90)
_LONGEST = 2000
_TABLE = "_private_sqla_audit"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What somebody did: ``subject`` is the filter, the first ids, or what was paused; ``jobs``: how many were changed.

    ``detail``: what the action was told, for example ``priority=5``; of a cleanup also what it deleted beside jobs.
    """

    id: int
    at: datetime
    actor: str
    action: str
    detail: str | None
    subject: str
    jobs: int
    left_out: int


def check_audit(session: Session, schema: str, actor: str | None) -> None:
    """Raise InvalidJobError for an actor that has no name, SchemaBehindError where no line can be written."""
    if actor is None:
        return
    check_text("actor", actor, 200)
    [row] = ask(session, schema, find_audit(schema))
    if not row.found:
        raise no_audit(schema)


def find_audit(schema: str) -> TextualSelect:
    """Tell whether the schema has the table: one row, ``found``."""
    return rust_tables.find_table(schema, _TABLE)


def no_audit(schema: str) -> SchemaBehindError:
    """Return the error of a schema that has not."""
    return SchemaBehindError(
        schema,
        f"schema {schema!r} has no table {_TABLE}, so nobody can be named as the actor: run 'python -m gw_sqla "
        "migrate', or leave the actor out",
    )


def write_action(
    session: Session, schema: str, actor: str | None, action: Action, chosen: JobFilter | str | list[int], acted: Acted
) -> None:
    """Write the line of an action on jobs, if somebody is named."""
    if actor is None:
        return
    subject = str(chosen)
    if isinstance(chosen, list):
        first = ",".join(map(str, chosen[:100]))
        subject = f"id:{first}" if len(chosen) <= 100 else f"id:{first},... ({len(chosen)} ids)"
    write(session, schema, actor, action.name, detail_of(action), subject, acted.done, sum(acted.left_out.values()))


def write(
    session: Session, schema: str, actor: str, action: str, detail: str | None, subject: str, jobs: int, left_out: int
) -> None:
    """Write a line, and take away what is too old."""
    ask(session, schema, audit.write(schema), line(actor, action, detail, subject, jobs, left_out))


def line(actor: str, action: str, detail: str | None, subject: str, jobs: int, left_out: int) -> dict[str, Any]:
    """Return the parameters of `gw_sqla.statements.audit.write`; texts that are too long are cut."""
    return {
        "actor": actor,
        "action": action,
        "detail": detail[:_LONGEST] if detail else None,
        "subject": subject[:_LONGEST],
        "jobs": jobs,
        "left_out": left_out,
        "kept": KEPT,
    }


def list_audit(
    session: Session, schema: str, before: int | None, after: int | None, limit: int, limits: ScanLimits
) -> list[AuditLine]:
    """Read lines, newest first."""
    check_count("limit", limit, MOST_LISTED)
    check_one_way(after, before)
    backwards = after is not None
    place = after if backwards else before
    if place is not None:
        [place] = check_ids([place], "after" if backwards else "before")
    with bounded(session, schema, limits) as reading:
        [there] = reading.ask(find_audit(schema))
        if not there.found:
            return []
        rows: Sequence[Any] = reading.ask(audit.read(schema, backwards=backwards), {"place": place, "limit": limit})
    return [AuditLine(*row) for row in (reversed(rows) if backwards else rows)]
