"""Tables for the cleanup of tasks and queues.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0010_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_upkeep and _private_sqla_removed."""
    run_sql("0010_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_upkeep and _private_sqla_removed."""
    run_sql("0010_downgrade.sql")
