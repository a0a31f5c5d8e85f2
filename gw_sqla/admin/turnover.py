"""How many jobs come and go, without touching their way: by what PostgreSQL counts of the table of jobs anyhow.

Each job that anybody adds is an inserted row, each that is completed or removed a deleted one, whoever's worker does
it: Graphile Worker's for Node.js and Rust are counted too. What these figures cannot say: jobs that have failed for
good stay in the table, and are not gone; a job that a key replaces is neither; completed and removed are one; rows of
transactions that were rolled back count as inserted; backends report at the end of a transaction, and no more often
than once in a second; a crash of the server, or ``pg_stat_reset``, begins at 0.

Rejected: counters of our own (a write for each job, and peers' workers would not keep them), and ``now() - created_at``
of the jobs that are there, which does not see those that are done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import ScanLimits
from gw_sqla.statements.health import turnover

__all__ = ["Rates", "Turnover", "read_turnover"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs per second: added, and gone (completed or removed)."""

    added: float
    gone: float


@dataclass(frozen=True, slots=True)
class Turnover:
    """How many jobs were ever inserted and deleted, as PostgreSQL's statistics say; ``at`` is this process's clock.

    ``time.monotonic()``, in seconds.
    """

    at: float
    inserted: int
    deleted: int

    def since(self, before: Turnover) -> Rates:
        """Return what happened in a second between ``before`` and this; 0 where the statistics began anew."""
        seconds = max(self.at - before.at, 1e-9)
        return Rates(
            max(0, self.inserted - before.inserted) / seconds,
            max(0, self.deleted - before.deleted) / seconds,
        )


def read_turnover(session: Session, schema: str, limits: ScanLimits) -> Turnover:
    """Read what the statistics say now."""
    with bounded(session, schema, limits) as reading:
        rows = reading.ask(turnover(schema), {"name": schema})
    at = time.monotonic()
    return Turnover(at, rows[0].inserted, rows[0].deleted) if rows else Turnover(at, 0, 0)
