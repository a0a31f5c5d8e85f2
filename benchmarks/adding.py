"""How long ``add_jobs`` takes for many jobs; run as a program it prints the seconds of one call and its commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.contenders import HERE
from benchmarks.database import Database
from benchmarks.throughput import Aim, report
from gw_sqla import JobRepository, JobSpec, async_sessionmaker, parse_url

__all__ = ["add_jobs"]

JOBS = 50_000


async def _add(count: int, return_rows: bool) -> None:
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    sessions = async_sessionmaker(engine)
    repo = JobRepository()
    async with sessions.begin() as session:  # connected and planned
        await repo.add_jobs(session, [JobSpec(task_identifier="trivial", payload={"id": -1})])
    specs = [JobSpec(task_identifier="trivial", payload={"id": number}) for number in range(count)]
    began = time.perf_counter()
    async with sessions.begin() as session:
        if return_rows:
            await repo.add_jobs(session, specs)
        else:
            await repo.add_jobs(session, specs, return_rows=False)
    print(time.perf_counter() - began)
    await engine.dispose()


def add_jobs(database: Database, runs: int) -> dict[str, Any]:
    """50,000 jobs in one call, their specs made before, beside Graphile Worker's ``addJobs``; both return the jobs."""
    commands = {
        "gw_sqla": [sys.executable, "-m", "benchmarks.adding", str(JOBS), "rows"],
        "gw_sqla, rows not wanted": [sys.executable, "-m", "benchmarks.adding", str(JOBS), "count"],
        "graphile": ["node", str(HERE / "peers" / "graphile.cjs"), "add", json.dumps({}), str(JOBS)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            database.empty()
            database.settle()
            ended = subprocess.run(
                command, env=database.environment, cwd=HERE.parent, check=True, stdout=subprocess.PIPE
            )
            seconds[name].append(float(ended.stdout))
    rates = {name: JOBS / median(values) for name, values in seconds.items()}
    details = {
        name: {"jobs_per_second": round(rate), "seconds": [round(value, 3) for value in seconds[name]]}
        for name, rate in rates.items()
    }
    return report(details, Aim("to graphile's addJobs", rates["gw_sqla"] / rates["graphile"], at_least=1.5))


if __name__ == "__main__":
    anyio.run(_add, int(sys.argv[1]), sys.argv[2] == "rows")
