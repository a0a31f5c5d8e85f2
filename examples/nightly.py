"""Jobs at given times, declared beside their tasks: a worker that is its own crontab.

    pip install .            # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    python examples/nightly.py

Start it as often as you like, on as many machines: each job is added once for its minute. What it was
not there for in the last week, it makes up for when it is started again. Ctrl-C stops it.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta

import anyio
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import JobContext, Runner, TaskRegistry, parse_url

tasks = TaskRegistry()


class Cron(BaseModel):
    """What the scheduler says of a job."""

    ts: datetime
    backfilled: bool


class Report(BaseModel):
    """Payload of the task; leave ``cron`` out where a handler does not care."""

    region: str
    cron: Cron = Field(alias="_cron")


@tasks.cron(
    "30 6 * * mon-fri", id="report_paris", tz="Europe/Paris", fill=timedelta(weeks=1), payload={"region": "paris"}
)
@tasks.cron(
    "30 6 * * mon-fri", id="report_osaka", tz="Asia/Tokyo", fill=timedelta(weeks=1), payload={"region": "osaka"}
)
@tasks.task("report")
async def report(payload: Report, ctx: JobContext) -> None:
    """The minute it is for is in the payload: made up for later, it reports on the right day."""
    late = " (made up for)" if payload.cron.backfilled else ""
    ctx.logger.info("report of %s for %s%s", payload.region, payload.cron.ts, late)


@tasks.cron("@hourly")
@tasks.task("tidy")
async def tidy(ctx: JobContext) -> None:
    """Only the next one matters: without a fill, missed hours are not made up for."""
    ctx.logger.info("tidied")


async def main() -> None:
    """Work until a signal."""
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    await Runner(engine, tasks).run()
    await engine.dispose()


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    anyio.run(main)
