"""Jobs that workers hold without a lease: gw_sqla's revision 0015, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0015"
down_revision = "gw_sqla_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.invoke(UpgradeJobSchemaOp("0015", start="0014", schema=branch_schema()))


def downgrade() -> None:
    """Drop the table."""
    op.invoke(UpgradeJobSchemaOp("0015", start="0014", schema=branch_schema()).reverse())
