"""A worker that holds jobs, and whose job ``deadly`` kills it with SIGKILL once it has written its mark."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import anyio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import JobContext, Runner, RunnerSettings, TaskRegistry

tasks = TaskRegistry()


@tasks.task("deadly")
async def deadly(ctx: JobContext) -> None:
    """Die, after saying in the database whether the job has a lease."""
    async with ctx.session() as session:
        leased = await session.scalar(
            text("select locked_by is not null from graphile_worker._private_jobs where id = :id"), {"id": ctx.job.id}
        )
        await session.execute(
            text("insert into deaths (attempt, is_leased) values (:attempt, :leased)"),
            {"attempt": ctx.job.attempts, "leased": leased},
        )
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str) -> None:
    settings = RunnerSettings(concurrency=1, prefetch=1, lease_after=timedelta(seconds=10), recovery_delay=timedelta(0))
    await Runner(create_async_engine(url), tasks, settings).run_once()


def work(url: str, backend: str) -> None:
    """Run what is ready; what a worker process does."""
    anyio.run(main, url, backend=backend)
