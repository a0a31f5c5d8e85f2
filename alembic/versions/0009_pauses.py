"""A table of what is paused.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0009_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_pauses."""
    run_sql("0009_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_pauses."""
    run_sql("0009_downgrade.sql")
