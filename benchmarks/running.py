"""Measures of workers that stay: how soon a job begins, and whether memory grows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles
from typing import Any

from benchmarks.contenders import GRAPHILE_DEFAULT, HERE, ours, ours_once
from benchmarks.database import READY, SCHEMA, Database
from benchmarks.throughput import Aim, report
from tests.support.server import connect

__all__ = ["latencies", "latency", "memory"]

SAMPLES = 400
ADD = f"select {SCHEMA}.add_job('latency', to_json($1::text))"


@contextmanager
def _running(command: list[str], database: Database) -> Iterator[subprocess.Popen[str]]:
    """A worker that prints a line for each job that begins; the block begins when it has run one."""
    process = subprocess.Popen(
        command, env=database.environment, cwd=HERE.parent, text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


async def _sample(database: Database, process: subprocess.Popen[str], samples: int) -> list[float]:
    """Add one job after the other; return the seconds from each call of add_job to its handler's first line."""
    assert process.stdout is not None
    connection = await connect(database.url)
    seconds = []
    for number in range(samples):
        began = time.perf_counter()
        await connection.execute(ADD, str(number))
        while process.stdout.readline().strip() != str(number):
            pass
        seconds.append(time.perf_counter() - began)
    await connection.close()
    return seconds


def latencies(
    database: Database, commands: dict[str, list[str]], runs: int
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return the percentiles of each worker's latency, and the same for the report; the workers take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            database.empty()
            with _running(command, database) as process:
                asyncio.run(_sample(database, process, 20))  # warm
                seconds[name] += asyncio.run(_sample(database, process, SAMPLES))
    parts = {name: quantiles(values, n=100) for name, values in seconds.items()}
    details = {
        name: {"p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2), "samples": len(seconds[name])}
        for name, cuts in parts.items()
    }
    return parts, details


def latency(database: Database, runs: int) -> dict[str, Any]:
    """From the call of add_job to the first line of the handler, one idle worker; the clock is the measurer's."""
    commands = {
        "gw_sqla": list(ours().command),
        "graphile": ["node", str(HERE / "peers" / "graphile.cjs"), "run", json.dumps(GRAPHILE_DEFAULT)],
    }
    parts, details = latencies(database, commands, runs)
    return report(
        details,
        Aim("p50 to graphile", parts["gw_sqla"][49] / parts["graphile"][49], at_most=0.8),
        Aim("p99 to graphile", parts["gw_sqla"][98] / parts["graphile"][98], at_most=1.0),
    )


def memory(database: Database, runs: int) -> dict[str, Any]:  # noqa: ARG001 - one long run
    """The memory of one worker after 100,000 and after 1,000,000 jobs."""
    database.empty()
    probe = "select 'memory', '{{}}'::json, null::text, now() - interval '{minutes} minutes'"
    jobs = READY.replace("now()", "now() - interval '{minutes} minutes'")
    database.fill(
        jobs.format(count=100_000, minutes=40),
        probe.format(minutes=30),
        jobs.format(count=900_000, minutes=20),
        probe.format(minutes=10),
    )
    command = ours_once("--prefetch", "500").command
    ended = subprocess.run(
        command, env=database.environment, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True
    )
    lines = [line.split() for line in ended.stdout.splitlines() if line.startswith("memory")]
    (_, _, early), (_, _, late) = lines
    grown = (int(late) - int(early)) / 1024
    details = {"MiB after 100,000": round(int(early) / 1024, 1), "MiB after 1,000,000": round(int(late) / 1024, 1)}
    return report(details, Aim("MiB grown", grown, at_most=10.0))
