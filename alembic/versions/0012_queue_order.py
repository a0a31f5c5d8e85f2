"""The index of queues knows ids, too: jobs that were added together to one queue have an order.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0012_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create sqla_jobs_queue_index anew, with the id of the job."""
    run_sql("0012_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create it as it was."""
    run_sql("0012_downgrade.sql")
