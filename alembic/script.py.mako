"""${message}

Never changes once released: it holds what the migrated databases hold. Its SQL is in sql/${up_revision}_*.sql.
For users' own environments it has a twin, gw_sqla/operations/user_branch/gw_sqla_${up_revision}.py.
"""

from __future__ import annotations

from collections.abc import Callable

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """State what it does."""
    run_sql("${up_revision}_upgrade.sql")


def downgrade(run_sql: Callable[[str], None], **_: object) -> None:
    """State what it undoes."""
    run_sql("${up_revision}_downgrade.sql")
