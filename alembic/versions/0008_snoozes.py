"""A table of how often jobs were snoozed.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0008_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_snoozes."""
    run_sql("0008_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_snoozes."""
    run_sql("0008_downgrade.sql")
