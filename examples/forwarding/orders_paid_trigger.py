"""A migration of yours: an order that is inserted, or paid, becomes a message in RabbitMQ, whoever writes the row.

The trigger adds a job in the transaction of the insert; `python -m gw_sqla forward --config forward.toml` sends it.
"""

import sqlalchemy as sa
from alembic import op

revision = "orders_paid"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_job_trigger(
        "orders",
        "order_paid",
        events=["insert", "update"],
        when=sa.text("NEW.paid"),
        payload={"order_id": "id", "country": "country"},
        queue_name=sa.text("'order ' || NEW.id"),  # what is said of one order arrives in order
    )


def downgrade() -> None:
    op.drop_job_trigger("orders", "order_paid")
