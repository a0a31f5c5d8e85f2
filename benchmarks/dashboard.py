"""What an open dashboard costs the database, in a full table: ``python -m benchmarks.dashboard``; prints JSON.

The table is that of `benchmarks.looking`. People open the overview, one after the other, and leave it open: their pages
refresh themselves. What counts is the processor time of PostgreSQL's backends from before the first page on, by Linux's
/proc, as a share of one core. Then each screen is opened some times: milliseconds, from request to page.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import httpx
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.database import SCHEMA, Database, measured_database
from benchmarks.looking import FILL
from gw_sqla import async_sessionmaker
from gw_sqla.web import ALL_RIGHTS, Dashboard, Viewer

EVERY = 5.0
SCREENS = [
    "/",
    "/jobs",
    "/jobs?filter=state%3Afailed",
    "/jobs?filter=state%3Aready&order=turn",
    "/jobs?filter=task%3A%22task+7%22",
    "/jobs?filter=error%3Anothing-has-this",
    "/failures",
    "/tasks",
    "/queues",
    "/workers",
    "/crontab",
    "/system",
]


def seconds_of(database: Database) -> float:
    """Return the processor time that the server's living backends have spent so far."""
    pids = str(
        database.value("select string_agg(pid::text, ' ') from pg_stat_activity where application_name = 'watched'")
    )
    spent = 0
    for pid in pids.split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


async def look(url: URL, viewers: int, seconds: float, runs: int, database: Database) -> dict[str, Any]:
    """Let them look, then open each screen; all by connections that stay, so that their backends can be asked."""
    engine = create_async_engine(
        url, pool_size=10, connect_args={"server_settings": {"application_name": "watched", "jit": "off"}}
    )
    app = Dashboard(async_sessionmaker(engine), access=lambda _: Viewer(ALL_RIGHTS))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dashboard", timeout=60)
    began = time.monotonic()

    async def view(delay: float) -> None:
        await anyio.sleep(delay)
        while time.monotonic() - began < seconds:
            assert (await client.get("/", headers={"x-live": "1"})).is_success
            await anyio.sleep(EVERY)

    async with client:
        own = time.process_time()
        async with anyio.create_task_group() as tasks:
            for number in range(viewers):
                tasks.start_soon(view, number * EVERY / viewers)
        took = time.monotonic() - began
        own = time.process_time() - own
        spent = await anyio.to_thread.run_sync(seconds_of, database)
        opened: dict[str, Any] = {}
        for path in SCREENS:
            times = []
            for _ in range(runs):
                start = time.perf_counter()
                assert (await client.get(path)).is_success
                times.append((time.perf_counter() - start) * 1000)
            opened[path] = {"first": round(times[0]), "median": round(median(times))}
    await engine.dispose()
    return {
        "seconds": round(took),
        "percent_of_a_core_of_the_database": round(100 * spent / took, 3),
        "percent_of_a_core_of_the_dashboard": round(100 * own / took, 3),
        "milliseconds": opened,
    }


def main() -> None:
    """Fill and look."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000_000)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with measured_database() as database:
        for statement in FILL.format(jobs=arguments.jobs).split(";\n"):
            if statement.strip():
                database.run(statement)
        load = os.getloadavg()[0]
        report = anyio.run(look, database.url, arguments.viewers, arguments.seconds, arguments.runs, database)
        count = database.value(f"select count(*) from {SCHEMA}._private_jobs")
    print(json.dumps({"jobs": count, "viewers": arguments.viewers, "load": load, **report}, indent=2))


if __name__ == "__main__":
    main()
