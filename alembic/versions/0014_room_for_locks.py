"""Room in the pages of the queues' table: locking and unlocking a queue writes no index.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0014_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Set the fill factor of _private_job_queues."""
    run_sql("0014_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Reset the fill factor."""
    run_sql("0014_downgrade.sql")
