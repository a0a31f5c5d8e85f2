"""worker schema at 0002 of gw_sqla"""

import sqlalchemy as sa
from alembic import op

import gw_sqla.operations  # gives op its operations

revision = "orders_02"
down_revision = "orders_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.upgrade_job_schema("0002")


def downgrade() -> None:
    op.downgrade_job_schema("base", start="0002")
