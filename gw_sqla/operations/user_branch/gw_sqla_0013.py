"""Jobs that were forwarded, kept for a time: gw_sqla's revision 0013, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0013"
down_revision = "gw_sqla_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.invoke(UpgradeJobSchemaOp("0013", start="0012", schema=branch_schema()))


def downgrade() -> None:
    """Drop the table."""
    op.invoke(UpgradeJobSchemaOp("0013", start="0012", schema=branch_schema()).reverse())
