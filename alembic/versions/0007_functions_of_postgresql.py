"""The schema's functions call PostgreSQL's own, and nobody else's, whatever the caller's search path is.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0007_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Replace the bodies of the functions."""
    run_sql("0007_adding.sql")
    run_sql("0007_managing.sql")
    run_sql("0007_complete_job.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Leave the functions: they do the same, and an older gw_sqla calls them as it did."""
