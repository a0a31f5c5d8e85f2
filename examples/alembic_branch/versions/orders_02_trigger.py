"""An inserted order becomes a job, whoever inserts it."""

import sqlalchemy as sa
from alembic import op

revision = "orders_02"
down_revision = "orders_01"
branch_labels = None
depends_on = "gw_sqla_0002"  # the queue comes first: the trigger calls it


def upgrade() -> None:
    op.create_job_trigger(
        "orders",
        "process_order",
        when=sa.text("NEW.item <> 'nothing'"),
        payload={"order_id": "id"},
        queue_name=sa.text("'orders of ' || NEW.item"),
    )


def downgrade() -> None:
    op.drop_job_trigger("orders", "process_order")
