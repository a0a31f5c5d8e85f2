"""A worker that kills itself with SIGKILL at a chosen point of a transactional job, or runs what is ready.

The points are hooks of SQLAlchemy's engine and of an observer; nothing is replaced.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import anyio
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, JobContext, Observer, Runner, RunnerSettings, TaskRegistry

POINTS = ["before the write", "after the write", "at the completion", "at the commit", "after the commit"]
"""In the order in which a job comes to them."""

NAME = "killed_worker"
"""The application name of these workers' connections."""

tasks = TaskRegistry()
deadly: set[str] = set()


def reached(point: str) -> None:
    """Die here if this is the point."""
    if point in deadly:
        os.kill(os.getpid(), signal.SIGKILL)


@tasks.task("declared", transactional=True)
async def declared(payload: int, session: AsyncSession) -> None:
    await write(payload, session)


@tasks.task("by_hand")
async def by_hand(payload: int, ctx: JobContext) -> None:
    async with ctx.session() as session:
        await write(payload, session)
        await ctx.complete(session)
    reached("after the commit")


async def write(payload: int, session: AsyncSession) -> None:
    reached("before the write")
    await session.execute(text("insert into effects (note) values (:note)"), {"note": str(payload)})
    reached("after the write")


class AfterTheCommit(Observer):
    async def job_completed(self, outcome: Any) -> None:
        reached("after the commit")


def watch(engine: AsyncEngine) -> None:
    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "sqla_complete_job" in statement:
            reached("at the completion")

    event.listen(engine.sync_engine, "before_cursor_execute", executed)
    event.listen(engine.sync_engine, "commit", lambda _connection: reached("at the commit"))


async def main(url: str) -> None:
    engine = create_async_engine(url, connect_args={"server_settings": {"application_name": NAME}})
    watch(engine)
    await Runner(engine, tasks, RunnerSettings(concurrency=2), observers=[AfterTheCommit()]).run_once()


def work(url: str, point: str, backend: str) -> None:
    """Run what is ready, to the point; what a worker process does."""
    deadly.add(point)
    anyio.run(main, url, backend=backend)
