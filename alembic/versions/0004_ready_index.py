"""An index for the claim to go on where the last one ended.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0004_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create sqla_jobs_ready_index."""
    run_sql("0004_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop sqla_jobs_ready_index."""
    run_sql("0004_downgrade.sql")
