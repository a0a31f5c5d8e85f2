"""Who did what to jobs: a line for each action that names its actor, in the transaction of the action.

Lines are kept for `KEPT`: each new one takes away a thousand of those that are older. Payloads are not written.

Rejected: a trigger, which would see what workers do too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from gw_sqla.admin.acted import Acted
from gw_sqla.admin.actions import Action, detail_of
from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import MOST_LISTED, ScanLimits
from gw_sqla.calls.asking import ask
from gw_sqla.errors import SchemaBehindError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_count, check_ids, check_text
from gw_sqla.statements import audit, rust_tables

__all__ = ["KEPT", "AuditLine", "check_audit", "list_audit", "write", "write_action"]

KEPT = timedelta(days=90)
_LONGEST = 2000
_TABLE = "_private_sqla_audit"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What somebody did: ``subject`` is the filter, or the first ids; ``jobs`` is how many were changed.

    ``detail``: what the action was told, for example ``priority=5``.
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
    [row] = ask(session, schema, rust_tables.find_table(schema, _TABLE))
    if not row.found:
        raise SchemaBehindError(
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
    parameters = {
        "actor": actor,
        "action": action,
        "detail": detail[:_LONGEST] if detail else None,
        "subject": subject[:_LONGEST],
        "jobs": jobs,
        "left_out": left_out,
        "kept": KEPT,
    }
    ask(session, schema, audit.write(schema), parameters)


def list_audit(session: Session, schema: str, before: int | None, limit: int, limits: ScanLimits) -> list[AuditLine]:
    """Read lines, newest first."""
    check_count("limit", limit, MOST_LISTED)
    if before is not None:
        [before] = check_ids([before], "before")
    with bounded(session, schema, limits) as reading:
        [there] = reading.ask(rust_tables.find_table(schema, _TABLE))
        if not there.found:
            return []
        rows: Sequence[Any] = reading.ask(audit.read(schema), {"before": before, "limit": limit})
    return [AuditLine(*row) for row in rows]
