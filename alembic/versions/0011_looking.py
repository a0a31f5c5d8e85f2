"""What looking at the queue and acting on it needs: indexes of failed jobs and of turns, a table of who did what.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0011_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Create sqla_jobs_failed_index, sqla_jobs_turn_index and _private_sqla_audit."""
    run_sql("0011_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop them."""
    run_sql("0011_downgrade.sql")
