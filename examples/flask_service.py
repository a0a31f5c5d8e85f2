"""A Flask service with Flask-SQLAlchemy: a job in the transaction of a request, by a sync session.

    pip install . flask flask-sqlalchemy 'psycopg[binary]'     # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/flask_service.py

    curl -i localhost:8004/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 2}'
    curl -i localhost:8004/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 99}'

The second order is refused after its job was added: neither the order nor the job is there afterwards.
Jobs are run by a process of their own, beside the one that serves: Flask has no event loop.

    python -m gw_sqla worker --app examples.flask_service:tasks
"""

from __future__ import annotations

import os

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from pydantic import BaseModel
from sqlalchemy import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import JobContext, SyncJobRepository, TaskRegistry

IN_STOCK = 10


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Order(Base):
    __tablename__ = "flask_orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    quantity: Mapped[int]
    state: Mapped[str] = mapped_column(default="received")


class ConfirmOrder(BaseModel):
    """Payload of the task."""

    order_id: int


tasks = TaskRegistry()
jobs = SyncJobRepository()


@tasks.task("confirm_order")
async def confirm_order(payload: ConfirmOrder, ctx: JobContext) -> None:
    """Runs in the worker, on its asyncio or trio: with the models, and without Flask."""
    async with ctx.session() as session:
        order = await session.get_one(Order, payload.order_id)
        order.state = "confirmed"


def place_order() -> tuple[dict[str, int], int]:
    """Store an order and add its job, both or neither."""
    new = request.get_json()
    with db.session.begin():
        order = Order(item=new["item"], quantity=new["quantity"])
        db.session.add(order)
        db.session.flush()  # gives the order its id
        jobs.add_job(db.session, confirm_order, ConfirmOrder(order_id=order.id))
        if order.quantity > IN_STOCK:  # whatever fails in this block takes the order and the job with it
            abort(409, f"only {IN_STOCK} of {order.item} are left")
        number = order.id
    return {"id": number}, 201


def show_order(order_id: int) -> dict[str, str]:
    """Tell the state of an order."""
    return {"state": db.get_or_404(Order, order_id).state}


def create_app(database_url: str) -> Flask:
    """Make the application."""
    app = Flask(__name__)
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    app.post("/orders")(place_order)
    app.get("/orders/<int:order_id>")(show_order)
    with app.app_context():  # a real service has migrations
        Base.metadata.create_all(db.engine)
    return app


if __name__ == "__main__":
    create_app(os.environ["DATABASE_URL"]).run(port=int(os.environ.get("PORT", "8004")))
