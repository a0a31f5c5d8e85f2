"""The index of queues knows ids, too: gw_sqla's revision 0012, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0012"
down_revision = "gw_sqla_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index anew."""
    op.invoke(UpgradeJobSchemaOp("0012", start="0011", schema=branch_schema()))


def downgrade() -> None:
    """Create it as it was."""
    op.invoke(UpgradeJobSchemaOp("0012", start="0011", schema=branch_schema()).reverse())
