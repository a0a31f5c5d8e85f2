"""The order of add_jobs: gw_sqla's revision 0005, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0005"
down_revision = "gw_sqla_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace add_jobs and create sqla_complete_job."""
    op.invoke(UpgradeJobSchemaOp("0005", start="0004", schema=branch_schema()))


def downgrade() -> None:
    """Put the former add_jobs back."""
    op.invoke(UpgradeJobSchemaOp("0005", start="0004", schema=branch_schema()).reverse())
