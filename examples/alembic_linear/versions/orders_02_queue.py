"""worker schema at 0003 of gw_sqla"""

import sqlalchemy as sa
from alembic import op

import gw_sqla.operations  # gives op its operations

revision = "orders_02"
down_revision = "orders_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.upgrade_job_schema("0003")


def downgrade() -> None:
    op.downgrade_job_schema("base", start="0003")
