"""A worker that times itself: prints the seconds from its first claim to its end; for queues that are soon empty.

Eight thousand jobs take less time than the start of a process varies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import anyio
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.app import tasks
from benchmarks.contenders import HERE, SLOTS
from benchmarks.database import Database
from gw_sqla import JobStarted, Observer, Runner, RunnerSettings, parse_url

__all__ = ["seconds_to_drain"]


class _Stopwatch(Observer):
    """Notes when the first job began."""

    began: float | None = None

    async def job_started(self, _event: JobStarted) -> None:
        if self.began is None:
            self.began = time.perf_counter()


async def _main() -> None:
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    watch = _Stopwatch()
    await Runner(engine, tasks, RunnerSettings(concurrency=SLOTS, prefetch=500), observers=[watch]).run_once()
    assert watch.began is not None
    print(time.perf_counter() - watch.began)
    await engine.dispose()


def seconds_to_drain(database: Database) -> float:
    """Run such a worker in a process of its own until the queue is empty."""
    command = [sys.executable, "-m", "benchmarks.inside"]
    ended = subprocess.run(command, env=database.environment, cwd=HERE.parent, check=True, stdout=subprocess.PIPE)
    return float(ended.stdout)


if __name__ == "__main__":
    anyio.run(_main)
