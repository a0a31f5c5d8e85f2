"""worker schema at 0003 of gw_sqla"""

import sqlalchemy as sa
from alembic import op

import gw_sqla.operations  # gives op its operations

revision = "orders_04"
down_revision = "orders_03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.upgrade_job_schema("0003", start="0002")


def downgrade() -> None:
    op.downgrade_job_schema("0002", start="0003")
