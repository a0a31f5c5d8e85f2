"""Room in the pages of the queues' table: gw_sqla's revision 0014, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0014"
down_revision = "gw_sqla_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Set its fill factor."""
    op.invoke(UpgradeJobSchemaOp("0014", start="0013", schema=branch_schema()))


def downgrade() -> None:
    """Reset it."""
    op.invoke(UpgradeJobSchemaOp("0014", start="0013", schema=branch_schema()).reverse())
