"""Jobs that workers hold without a lease.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0015_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_holds."""
    run_sql("0015_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_holds."""
    run_sql("0015_downgrade.sql")
