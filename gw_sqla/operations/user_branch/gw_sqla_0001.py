"""Graphile Worker's schema at its revision 19: gw_sqla's revision 0001, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0001"
down_revision = None
branch_labels = ("gw_sqla",)
depends_on = None


def upgrade() -> None:
    """Create or adopt the worker schema."""
    op.invoke(UpgradeJobSchemaOp("0001", schema=branch_schema()))


def downgrade() -> None:
    """Remove what gw_sqla made."""
    op.invoke(UpgradeJobSchemaOp("0001", schema=branch_schema()).reverse())
