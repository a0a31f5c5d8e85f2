"""The completion by a handler names the time of the lock, and the queue that was locked.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0006_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Replace sqla_complete_job."""
    run_sql("0006_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Put the former sqla_complete_job back."""
    run_sql("0006_downgrade.sql")
