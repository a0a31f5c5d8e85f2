"""The table of worker pools: gw_sqla's revision 0003, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0003"
down_revision = "gw_sqla_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.invoke(UpgradeJobSchemaOp("0003", start="0002", schema=branch_schema()))


def downgrade() -> None:
    """Drop the table."""
    op.invoke(UpgradeJobSchemaOp("0003", start="0002", schema=branch_schema()).reverse())
