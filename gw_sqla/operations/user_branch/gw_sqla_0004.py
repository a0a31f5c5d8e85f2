"""An index for the claim to go on: gw_sqla's revision 0004, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0004"
down_revision = "gw_sqla_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.invoke(UpgradeJobSchemaOp("0004", start="0003", schema=branch_schema()))


def downgrade() -> None:
    """Drop the index."""
    op.invoke(UpgradeJobSchemaOp("0004", start="0003", schema=branch_schema()).reverse())
