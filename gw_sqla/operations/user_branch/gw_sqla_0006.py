"""The fence of the completion by handlers: gw_sqla's revision 0006, as a branch of your own history."""

from __future__ import annotations

from alembic import op

from gw_sqla.operations import UpgradeJobSchemaOp, branch_schema

revision = "gw_sqla_0006"
down_revision = "gw_sqla_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace sqla_complete_job."""
    op.invoke(UpgradeJobSchemaOp("0006", start="0005", schema=branch_schema()))


def downgrade() -> None:
    """Put the former sqla_complete_job back."""
    op.invoke(UpgradeJobSchemaOp("0006", start="0005", schema=branch_schema()).reverse())
