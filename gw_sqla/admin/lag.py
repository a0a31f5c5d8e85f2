"""ForwardLag: how far behind forwarding is, also while no worker is there to say so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import ScanLimits
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_text
from gw_sqla.statements import rust_tables
from gw_sqla.statements.forward_lag import forward_lag

__all__ = ["ForwardLag", "list_forward_lag"]

_OLDEST = 3650 * 86400.0


@dataclass(frozen=True, slots=True)
class ForwardLag:
    """One task: how many of its jobs are due and not confirmed, how many have failed for good.

    ``age``: for how long the oldest of the waiting has been due; zero where none waits.
    """

    task: str
    waiting: int
    failed: int
    age: timedelta


def list_forward_lag(
    session: Session, schema: str, tasks: Collection[str] | None, limits: ScanLimits
) -> list[ForwardLag]:
    """Read it, of the tasks, or of those that registered workers forward."""
    if tasks is not None:
        if isinstance(tasks, str):
            raise InvalidJobError("tasks", f"must be a list of task identifiers, is {tasks!r}")
        for task in tasks:
            check_text("tasks", task, 128)
    with bounded(session, schema, limits) as reading:
        if tasks is None:
            [there] = reading.ask(rust_tables.find_table(schema, "_private_sqla_workers"))
            if not there.found:
                return []
        parameters = {} if tasks is None else {"tasks": list(tasks)}
        rows = reading.ask(forward_lag(schema, registered=tasks is None), parameters)
    return [ForwardLag(row.task, row.waiting, row.failed, _age(row.seconds)) for row in rows]


def _age(seconds: float | None) -> timedelta:
    """Some write run_at = '-infinity', for at once."""
    return timedelta(seconds=min(max(seconds or 0.0, 0.0), _OLDEST))
