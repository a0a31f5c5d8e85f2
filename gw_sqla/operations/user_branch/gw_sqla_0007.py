"""Functions that call PostgreSQL's own: gw_sqla's revision 0007, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0007"
down_revision = "gw_sqla_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the bodies of the functions."""
    op.invoke(UpgradeJobSchemaOp("0007", start="0006", schema=branch_schema()))


def downgrade() -> None:
    """Leave them: an older gw_sqla calls them as it did."""
    op.invoke(UpgradeJobSchemaOp("0007", start="0006", schema=branch_schema()).reverse())
