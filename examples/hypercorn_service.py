"""A FastAPI service on trio, under Hypercorn: requests, jobs and their worker in one trio program.

    pip install '.[trio]' fastapi hypercorn             # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/hypercorn_service.py

    curl -i localhost:8003/members -H 'content-type: application/json' -d '{"address": "ada@example.com"}'
    curl -i localhost:8003/members -H 'content-type: application/json' -d '{"address": "ada"}'

The second address is refused after its job was added: neither the member nor the job is there afterwards.
Ctrl-C or SIGTERM stops the server; jobs that run then have the runner's grace period.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, cast

import trio
from fastapi import Depends, FastAPI, HTTPException, Request
from hypercorn.config import Config
from hypercorn.trio import serve
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
    call_asyncio,
    database_loop,
    parse_url,
)


class Base(DeclarativeBase):
    pass


class Member(Base):
    __tablename__ = "hypercorn_members"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    welcomed: Mapped[bool] = mapped_column(default=False)


class NewMember(BaseModel):
    """Body of a request."""

    address: str


class Welcome(BaseModel):
    """Payload of the task."""

    member_id: int


tasks = TaskRegistry()
jobs = JobRepository()


@tasks.task("welcome")
async def welcome(payload: Welcome, ctx: JobContext) -> None:
    await trio.lowlevel.checkpoint()  # handlers run on trio itself: anything of trio's works here
    async with ctx.session() as session:
        member = await session.get_one(Member, payload.member_id)
        member.welcomed = True


async def new_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give an endpoint a session, and close it after the response; the endpoint commits."""
    async with request.app.state.sessions() as session:
        yield session


async def sign_up(new: NewMember, session: Annotated[AsyncSession, Depends(new_session)]) -> dict[str, int]:
    """Store a member and add the job, both or neither."""
    async with session.begin():
        member = Member(address=new.address)
        session.add(member)
        await session.flush()  # gives the member an id
        await jobs.add_job(session, welcome, Welcome(member_id=member.id))
        if "@" not in new.address:  # whatever fails in this block takes the member and the job with it
            raise HTTPException(422, "not an address")
    return {"id": member.id}


async def create_tables(engine: AsyncEngine) -> None:
    """Create the service's own table; a real service has migrations."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


def create_app(engine: AsyncEngine, observers: Sequence[Observer] = ()) -> FastAPI:
    """Make the application; the engine serves requests and jobs, and is disposed of at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await call_asyncio(create_tables, engine)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with Runner(engine, tasks, observers=observers):  # stops gracefully at the end of the block
            yield
        await call_asyncio(engine.dispose)

    app = FastAPI(lifespan=lifespan)
    app.post("/members", status_code=201)(sign_up)
    return app


async def run(
    app: FastAPI,
    bind: str,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set; report the URLs when socket and worker are ready."""
    config = Config()
    config.bind = [bind]
    async with database_loop():  # around Hypercorn, so that requests and the lifespan are inside
        # FastAPI is an ASGI application; Hypercorn's type of one is narrower than Starlette's.
        await serve(cast("Any", app), config, shutdown_trigger=stop.wait, task_status=task_status)


async def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    app = create_app(create_async_engine(parse_url(os.environ["DATABASE_URL"])))
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            urls = await nursery.start(partial(run, app, f"127.0.0.1:{os.environ.get('PORT', '8003')}", stop))
            print(f"serving on {urls[0]}", flush=True)
            async for _ in signals:
                break
        stop.set()


if __name__ == "__main__":
    trio.run(main)
