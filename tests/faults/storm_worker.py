"""A worker process of the storm: its handler records in a table when it began and ended, whatever the server does.

Run as ``python -m tests.faults.storm_worker URL NUMBER BACKEND SETTINGS``; settings are RunnerSettings as JSON,
durations in seconds.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import JobContext, Runner, RunnerSettings, TaskRegistry

RUNS = """create table storm_runs (
  id uuid primary key, n integer not null, job_id bigint not null, queue_name text, worker integer not null,
  attempt integer not null, began timestamptz not null, ended timestamptz
)"""
_BEGIN = text("""insert into storm_runs (id, n, job_id, queue_name, worker, attempt, began)
values (:id, :n, :job_id, :queue_name, :worker, :attempt, clock_timestamp()) on conflict do nothing""")
_END = text("update storm_runs set ended = clock_timestamp() where id = :id")
_WORK = 0.001
"""Seconds that a job takes beside its two statements."""


def registry(worker: int) -> TaskRegistry:
    """The task of the storm, for the worker with this number."""
    tasks = TaskRegistry()

    @tasks.task("storm")
    async def storm(payload: int, ctx: JobContext) -> None:
        run = {"id": uuid4(), "n": payload, "job_id": ctx.job.id, "queue_name": ctx.job.queue_name}
        run |= {"worker": worker, "attempt": ctx.job.attempts}

        async def write(statement: Any, parameters: dict[str, Any]) -> None:
            async with ctx.session() as session:
                await session.execute(statement, parameters)

        await until_done(lambda: write(_BEGIN, run))
        await anyio.sleep(_WORK)
        await until_done(lambda: write(_END, {"id": run["id"]}))

    return tasks


async def until_done(write: Callable[[], Awaitable[None]]) -> None:
    """Repeat a write until it is committed: a run has no end only where its process was killed."""
    while True:
        try:
            await write()
        except (SQLAlchemyError, OSError):
            await anyio.sleep(0.05)
        else:
            return


async def work(url: str, worker: int, settings: RunnerSettings) -> None:
    engine = create_async_engine(url, pool_size=settings.concurrency)
    await Runner(engine, registry(worker), settings).run()


def main() -> None:
    url, worker, backend, options = sys.argv[1:]
    seconds = ("interval", "threshold", "delay", "period", "timeout", "ttl")
    settings: dict[str, Any] = {
        name: timedelta(seconds=value) if name.endswith(seconds) else value
        for name, value in json.loads(options).items()
    }
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    anyio.run(work, url, int(worker), RunnerSettings(**settings), backend=backend)


if __name__ == "__main__":
    main()
