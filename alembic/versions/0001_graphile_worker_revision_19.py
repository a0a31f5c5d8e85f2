"""Graphile Worker schema at revision 19: create, or adopt.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0001_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], *, adopt: bool) -> None:
    """Create every object of revision 19, or, where a peer made them, mark the ledger only."""
    if adopt:
        run_sql("0001_adopt.sql")
    else:
        run_sql("0001_tables.sql")
        run_sql("0001_functions.sql")
    run_sql("0001_version_table.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop what upgrade created; refuse (SQLSTATE 55006) while jobs exist; nothing of a peer's."""
    run_sql("0001_downgrade.sql")
