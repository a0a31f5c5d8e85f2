"""add_jobs returns its rows in the order of its specs; a handler's own completion reads no other job.

Never changes: it holds what the migrated databases hold. Its SQL is in sql/0005_*.sql.
"""

from __future__ import annotations

from collections.abc import Callable

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Replace add_jobs, where it is ours, and create sqla_complete_job."""
    run_sql("0005_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """Drop sqla_complete_job and put the former add_jobs back."""
    run_sql("0005_downgrade.sql")
