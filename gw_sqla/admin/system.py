"""The server and the worker schema as people see them: versions, the ledger of migrations, what it takes on the disk.

All of it is from the catalog and from small tables. Whether something is wrong is for `gw_sqla.health` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import ScanLimits
from gw_sqla.schema.state import read_state
from gw_sqla.statements import health, job_reports
from gw_sqla.statements.quoting import quoted

__all__ = ["LedgerLine", "Relation", "System", "look_at_system", "now"]

_MOST_MIGRATIONS = 100


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A migration of Graphile Worker's, whichever of the three made it; ``breaking``: older workers must stop."""

    id: int
    at: datetime
    breaking: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or an index of the worker schema: bytes on the disk, rows as PostgreSQL estimates them, dead ones.

    Of an index, ``rows`` are those of its table, and ``dead_rows`` is None.
    """

    name: str
    is_index: bool
    bytes: int
    rows: int
    dead_rows: int | None


@dataclass(frozen=True, slots=True)
class System:
    """The server's version and clock, our own revision (None: gw_sqla has not migrated it), the ledger, sizes.

    The ledger's newest lines first, 100 at most, None where the role may not read it, as a ``reader`` may not: neither
    it nor the revision is known then. Relations the largest first.
    """

    server_version: str
    now: datetime
    version: str | None
    ledger: tuple[LedgerLine, ...] | None
    relations: tuple[Relation, ...]


def look_at_system(session: Session, schema: str, limits: ScanLimits) -> System:
    """Read them."""
    with bounded(session, schema, limits) as reading:
        state = read_state(session.connection(), schema, "reader")
        [server] = reading.ask(health.server(schema))
        ledger = None if state.unread else reading.ask(health.ledger(schema), {"limit": _MOST_MIGRATIONS})
        storage = reading.ask(health.storage(schema), {"namespace": quoted(schema)})
    migrations = None if ledger is None else tuple(LedgerLine(row.id, row.ts, row.breaking) for row in ledger)
    relations = [Relation(row.name, row.is_index, row.bytes, row.live, row.dead) for row in storage]
    relations.sort(key=lambda one: (-one.bytes, one.name))
    return System(server.version, server.now, state.version, migrations, tuple(relations))


def now(session: Session, schema: str, limits: ScanLimits) -> datetime:
    """Read the time."""
    with bounded(session, schema, limits) as reading:
        [row] = reading.ask(job_reports.now(schema))
    found: datetime = row.now
    return found
