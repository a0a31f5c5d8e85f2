"""A plain script: make the schema, add jobs in a transaction, run them, look at what is left.

    pip install .            # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python examples/script.py

Its jobs have a schema of their own, named ``script_jobs``; the last lines remove it again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import anyio
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import (
    FailPermanently,
    JobRepository,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    migrate,
    parse_url,
)
from gw_sqla.schema.migrations import downgrade

SCHEMA = "script_jobs"
STOCK: Mapping[str, int] = {"tea": 3, "coffee": 5}

tasks = TaskRegistry()


@dataclass
class CountItem:
    """Payload of the task."""

    item: str


@tasks.task("count_item")
def count_item(payload: CountItem) -> None:  # not async: it runs in a thread
    if payload.item not in STOCK:
        raise FailPermanently(f"there is no {payload.item}")
    print(f"{payload.item}: {STOCK[payload.item]}")


async def main() -> None:
    """Do all of it, once."""
    url = parse_url(os.environ["DATABASE_URL"])
    engine = create_async_engine(url)
    print(await migrate(engine, schema=SCHEMA))

    sessions = async_sessionmaker(engine)
    jobs = JobRepository(SCHEMA)
    async with sessions.begin() as session:  # one transaction, one round trip for all three jobs
        items = ["tea", "coffee", "cocoa"]
        await jobs.add_jobs(session, [count_item.spec(CountItem(item), queue_name="counting") for item in items])

    counts = await Runner(engine, tasks, RunnerSettings(schema=SCHEMA)).run_once()
    print(f"{counts.completed} completed, {counts.failed} failed")

    async with sessions.begin() as session:
        for job in await jobs.list_jobs(session):
            print(f"{job.task_identifier} {job.payload} {job.state}: {job.last_error}")
            await jobs.complete_jobs(session, [job.id])

    print(await downgrade(engine, schema=SCHEMA))
    await engine.dispose()


if __name__ == "__main__":
    anyio.run(main)
