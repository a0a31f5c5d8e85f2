"""What looking at the queue and acting on it needs: gw_sqla's revision 0011, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0011"
down_revision = "gw_sqla_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes and the table."""
    op.invoke(UpgradeJobSchemaOp("0011", start="0010", schema=branch_schema()))


def downgrade() -> None:
    """Drop the indexes and the table."""
    op.invoke(UpgradeJobSchemaOp("0011", start="0010", schema=branch_schema()).reverse())
