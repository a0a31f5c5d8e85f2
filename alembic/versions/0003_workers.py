"""A table of the worker pools that are alive, for heartbeats and recovery.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0003_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_workers."""
    run_sql("0003_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_workers."""
    run_sql("0003_downgrade.sql")
