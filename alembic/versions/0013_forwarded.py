"""Jobs that were forwarded, kept for a time.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0013_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create _private_sqla_forwarded."""
    run_sql("0013_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop _private_sqla_forwarded."""
    run_sql("0013_downgrade.sql")
