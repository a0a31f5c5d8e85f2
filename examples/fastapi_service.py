"""A FastAPI service that adds a job in the transaction of a request, and runs jobs itself.

    pip install . fastapi uvicorn     # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/fastapi_service.py

    curl -i localhost:8000/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 2}'
    curl -i localhost:8000/orders -H 'content-type: application/json' -d '{"item": "tea", "quantity": 99}'

The second order is refused after its job was added: neither the order nor the job is there afterwards.
Ctrl-C stops the server; jobs that run then have the runner's grace period.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    Observer,
    Runner,
    TaskRegistry,
    async_sessionmaker,
    parse_url,
)

IN_STOCK = 10


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "fastapi_orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    quantity: Mapped[int]
    state: Mapped[str] = mapped_column(default="received")


class ConfirmOrder(BaseModel):
    """Payload of the task."""

    order_id: int


tasks = TaskRegistry()
jobs = JobRepository()


@tasks.task("confirm_order", timeout=timedelta(seconds=30))
async def confirm_order(payload: ConfirmOrder, ctx: JobContext) -> None:
    async with ctx.session() as session:
        order = await session.get_one(Order, payload.order_id)
        order.state = "confirmed"
    ctx.logger.info("order %d is confirmed", payload.order_id)


class NewOrder(BaseModel):
    """Body of a request."""

    item: str
    quantity: int


async def new_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give an endpoint a session, and close it after the response.

    It does not commit: what follows the yield runs when the response is already sent (FastAPI 0.118
    and later), so a commit that fails here would be a failure that nobody is told of.
    """
    async with request.app.state.sessions() as session:
        yield session


async def place_order(new: NewOrder, session: Annotated[AsyncSession, Depends(new_session)]) -> dict[str, int]:
    """Store an order and add its job, both or neither."""
    async with session.begin():
        order = Order(item=new.item, quantity=new.quantity)
        session.add(order)
        await session.flush()  # gives the order its id
        await jobs.add_job(session, confirm_order, ConfirmOrder(order_id=order.id))
        if new.quantity > IN_STOCK:  # whatever fails in this block takes the order and the job with it
            raise HTTPException(409, f"only {IN_STOCK} of {new.item} are left")
    return {"id": order.id}


async def show_order(order_id: int, session: Annotated[AsyncSession, Depends(new_session)]) -> dict[str, str]:
    """Tell the state of an order."""
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    return {"state": order.state}


def create_app(engine: AsyncEngine, observers: Sequence[Observer] = ()) -> FastAPI:
    """Make the application; the engine serves requests and jobs, and is disposed of at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:  # a real service has its own migrations
            await connection.run_sync(Base.metadata.create_all)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with Runner(engine, tasks, observers=observers):  # stops gracefully at the end of the block
            yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.post("/orders", status_code=201)(place_order)
    app.get("/orders/{order_id}")(show_order)
    return app


if __name__ == "__main__":
    import uvicorn

    url = parse_url(os.environ["DATABASE_URL"])
    uvicorn.run(create_app(create_async_engine(url)), port=int(os.environ.get("PORT", "8000")))
