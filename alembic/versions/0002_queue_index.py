"""An index for the claim of jobs in named queues.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0002_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create sqla_jobs_queue_index."""
    run_sql("0002_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop sqla_jobs_queue_index."""
    run_sql("0002_downgrade.sql")
