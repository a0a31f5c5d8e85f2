"""The index for named queues: gw_sqla's revision 0002, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0002"
down_revision = "gw_sqla_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.invoke(UpgradeJobSchemaOp("0002", start="0001", schema=branch_schema()))


def downgrade() -> None:
    """Drop the index."""
    op.invoke(UpgradeJobSchemaOp("0002", start="0001", schema=branch_schema()).reverse())
