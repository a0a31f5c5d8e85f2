"""A Litestar service with advanced-alchemy: a job in the transaction of a request, and a worker beside it.

    pip install . litestar advanced-alchemy uvicorn     # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/litestar_service.py

    curl -i localhost:8002/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 2}'
    curl -i localhost:8002/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 99}'

The second order is refused after its job was added: neither the order nor the job is there afterwards.
Ctrl-C stops the server; jobs that run then have the runner's grace period.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from advanced_alchemy.base import BigIntBase
from advanced_alchemy.extensions.litestar import AsyncSessionConfig, SQLAlchemyAsyncConfig, SQLAlchemyInitPlugin
from litestar import Litestar, get, post
from litestar.config.app import AppConfig
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, JSONBody
from litestar.plugins import InitPlugin
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from gw_sqla import JobContext, JobRepository, Observer, Runner, TaskRegistry, parse_url

IN_STOCK = 10


class Order(BigIntBase):
    __tablename__ = "litestar_orders"

    item: Mapped[str]
    quantity: Mapped[int]
    state: Mapped[str] = mapped_column(default="received")


@dataclass
class ConfirmOrder:
    """Payload of the task."""

    order_id: int


tasks = TaskRegistry()
jobs = JobRepository()


@tasks.task("confirm_order")
async def confirm_order(payload: ConfirmOrder, ctx: JobContext) -> None:
    async with ctx.session() as session:
        order = await session.get_one(Order, payload.order_id)
        order.state = "confirmed"


@dataclass
class NewOrder:
    """Body of a request."""

    item: str
    quantity: int


@post("/orders")
async def place_order(data: JSONBody[NewOrder], db_session: NamedDependency[AsyncSession]) -> dict[str, int]:
    """Store an order and add its job, both or neither.

    The session is advanced-alchemy's. It is committed here: its before_send_handler "autocommit" would send the
    response even where the commit fails, and nobody would be told.
    """
    async with db_session.begin():
        order = Order(item=data.item, quantity=data.quantity)
        db_session.add(order)
        await db_session.flush()  # gives the order its id
        await jobs.add_job(db_session, confirm_order, ConfirmOrder(order_id=order.id))
        if data.quantity > IN_STOCK:  # whatever fails in this block takes the order and the job with it
            raise ClientException(f"only {IN_STOCK} of {data.item} are left", status_code=409)
    return {"id": order.id}


@get("/orders/{order_id:int}")
async def show_order(order_id: FromPath[int], db_session: NamedDependency[AsyncSession]) -> dict[str, str]:
    """Tell the state of an order."""
    order = await db_session.get(Order, order_id)
    if order is None:
        raise NotFoundException("no such order")
    return {"state": order.state}


class Worker(InitPlugin):
    """Runs jobs while the application runs.

    A plugin, so that it can stand after advanced-alchemy's SQLAlchemyInitPlugin: what starts last stops first, and
    the engine must outlive the worker. (SQLAlchemyPlugin would add that one behind all others.)
    """

    def __init__(self, engine: AsyncEngine, observers: Sequence[Observer]) -> None:
        self._runner = Runner(engine, tasks, observers=observers)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.lifespan.append(self._run)
        return app_config

    @asynccontextmanager
    async def _run(self, _: Litestar) -> AsyncIterator[None]:
        async with self._runner:  # stops gracefully at the end of the block
            yield


def create_app(engine: AsyncEngine, observers: Sequence[Observer] = ()) -> Litestar:
    """Make the application; the engine serves requests and jobs, and is disposed of at the end."""
    alchemy = SQLAlchemyAsyncConfig(
        engine_instance=engine,
        session_config=AsyncSessionConfig(expire_on_commit=False),
        create_all=True,  # a real service has migrations
    )
    return Litestar([place_order, show_order], plugins=[SQLAlchemyInitPlugin(alchemy), Worker(engine, observers)])


if __name__ == "__main__":
    import uvicorn

    url = parse_url(os.environ["DATABASE_URL"])
    uvicorn.run(create_app(create_async_engine(url)), port=int(os.environ.get("PORT", "8002")))
