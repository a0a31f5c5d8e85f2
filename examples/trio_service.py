"""A trio service that adds jobs in its own transactions, and runs them beside its socket.

    pip install '.[trio]'             # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/trio_service.py

    telnet 127.0.0.1 8001       (or nc; PORT chooses another port)
    ada@example.com
    not an address

Each line is an address to sign up. It is stored, and a job that welcomes it is added, in one
transaction; an address that is refused leaves neither. Ctrl-C or SIGTERM stops the service; jobs
that run then have the runner's grace period.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from functools import partial

import trio
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
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
    __tablename__ = "trio_members"

    address: Mapped[str] = mapped_column(primary_key=True)
    welcomed: Mapped[bool] = mapped_column(default=False)


class Welcome(BaseModel):
    """Payload of the task."""

    address: str


tasks = TaskRegistry()
jobs = JobRepository()


@tasks.task("welcome")
async def welcome(payload: Welcome, ctx: JobContext) -> None:
    await trio.lowlevel.checkpoint()  # handlers run on trio itself: anything of trio's works here
    async with ctx.session() as session:
        member = await session.get_one(Member, payload.address)
        member.welcomed = True
    ctx.logger.info("%s is welcome", payload.address)


async def sign_up(sessions: async_sessionmaker[AsyncSession], address: str) -> str:
    """Store an address and add its job, both or neither; return the answer to the client."""
    try:
        async with sessions.begin() as session:
            session.add(Member(address=address))
            await jobs.add_job(session, welcome, Welcome(address=address), queue_name="mail")
            if "@" not in address:  # whatever fails in this block takes the address and the job with it
                raise ValueError("not an address")
    except IntegrityError:
        return "signed up already"
    except ValueError as error:
        return str(error)
    return "signed up"


async def talk(sessions: async_sessionmaker[AsyncSession], stream: trio.SocketStream) -> None:
    """Serve one connection: a line in, a line out."""
    rest = b""
    async for data in stream:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            answer = await sign_up(sessions, line.decode(errors="replace").strip())
            await stream.send_all(answer.encode() + b"\n")


async def create_tables(engine: AsyncEngine) -> None:
    """Create the service's own table; a real service has migrations."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def serve(
    engine: AsyncEngine,
    stop: trio.Event,
    *,
    port: int = 0,
    observers: Sequence[Observer] = (),
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set; report the port when both socket and worker are ready."""
    async with database_loop():  # everything that touches the database happens inside
        await call_asyncio(create_tables, engine)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        runner = Runner(engine, tasks, observers=observers)
        async with trio.open_nursery() as working:
            await working.start(runner.run)  # returns when the worker listens for jobs
            async with trio.open_nursery() as serving:
                listeners = await serving.start(
                    partial(trio.serve_tcp, partial(talk, sessions), port, host="127.0.0.1")
                )
                task_status.started(listeners[0].socket.getsockname()[1])
                await stop.wait()
                serving.cancel_scope.cancel()
            runner.stop()  # the jobs that run now have the grace period
        await call_asyncio(engine.dispose)


async def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    port = int(os.environ.get("PORT", "8001"))
    url = parse_url(os.environ["DATABASE_URL"])
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            port = await nursery.start(partial(serve, create_async_engine(url), stop, port=port))
            print(f"signing up on port {port}", flush=True)
            async for _ in signals:
                break
        stop.set()


if __name__ == "__main__":
    trio.run(main)
