"""worker schema at 0004 of gw_sqla"""

import sqlalchemy as sa
from alembic import op

import gw_sqla.operations  # gives op its operations

revision = "orders_05"
down_revision = "orders_04"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.upgrade_job_schema("0004", start="0003")


def downgrade() -> None:
    op.downgrade_job_schema("0003", start="0004")
