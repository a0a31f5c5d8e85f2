"""The table of what is paused: gw_sqla's revision 0009, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0009"
down_revision = "gw_sqla_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.invoke(UpgradeJobSchemaOp("0009", start="0008", schema=branch_schema()))


def downgrade() -> None:
    """Drop the table."""
    op.invoke(UpgradeJobSchemaOp("0009", start="0008", schema=branch_schema()).reverse())
