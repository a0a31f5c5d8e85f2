"""The tables for cleanup: gw_sqla's revision 0010, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0010"
down_revision = "gw_sqla_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.invoke(UpgradeJobSchemaOp("0010", start="0009", schema=branch_schema()))


def downgrade() -> None:
    """Drop the tables."""
    op.invoke(UpgradeJobSchemaOp("0010", start="0009", schema=branch_schema()).reverse())
