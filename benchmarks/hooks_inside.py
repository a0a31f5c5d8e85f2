"""A worker under callgrind: ``python hooks_inside.py nothing|interceptor|observer|...`` with DATABASE_URL.

It runs a few jobs to warm up, a few again, and many, and has callgrind dump what it has counted after each. Whatever
goes by the clock is off, as under callgrind a second is worth less.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from datetime import timedelta
from importlib import import_module
from typing import Any

import anyio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import Runner, RunnerSettings, TaskRegistry, parse_url

FEW, MANY = 1_200, 6_000
LONG = timedelta(hours=10)
ADD = """insert into graphile_worker._private_jobs (task_id, payload)
select tasks.id, json_build_object('id', i) from graphile_worker._private_tasks tasks, generate_series(1, :count) i
where tasks.identifier = 'trivial'"""

tasks = TaskRegistry()


@tasks.task("trivial")
async def trivial(payload: dict[str, int]) -> None:
    """Do nothing."""


def hooks(name: str) -> dict[str, Any]:
    """Return the runner's keywords."""
    if name == "nothing":
        return {}
    from gw_sqla import CallNext, ClaimedJob, Completed, Interceptor, Observer

    class NoOp(Interceptor):
        async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
            return await call_next(job)

    class Hears(Observer):
        async def job_completed(self, event: Completed, /) -> None: ...

    if name == "interceptor":
        return {"interceptors": [NoOp()]}
    if name == "observer":
        return {"observers": [Hears()]}
    if name == "metrics":
        from prometheus_client import CollectorRegistry

        from gw_sqla.telemetry import PrometheusMetrics

        return {"observers": [PrometheusMetrics(registry=CollectorRegistry())]}
    if name == "tracing":
        from opentelemetry.sdk.trace import TracerProvider

        from gw_sqla.telemetry import OpenTelemetryTracing

        return {"interceptors": [OpenTelemetryTracing(tracer_provider=TracerProvider())]}
    logging.getLogger("gw_sqla.outcome").setLevel(logging.DEBUG)
    logging.getLogger("gw_sqla.outcome").addHandler(logging.NullHandler())
    return {}


async def run(engine: AsyncEngine, name: str, count: int) -> None:
    """Add so many jobs and run them."""
    async with engine.begin() as connection:
        await connection.execute(text(ADD), {"count": count})
    settings = RunnerSettings(
        concurrency=24,
        prefetch=500,
        prefetch_ttl=LONG,
        poll_interval=LONG,
        heartbeat_interval=LONG,
        heartbeat_threshold=2 * LONG,
        sweep_interval=LONG,
        blocking_threshold=None,
    )
    counts = await Runner(engine, tasks, settings, **hooks(name)).run_once()
    assert counts.completed == count, f"{counts} of {count}: was the worker stopped?"


def let_nobody_have_a_turn() -> None:
    """Let slots, and what tells observers, go on until nothing waits for them.

    Their turns for others in the event loop go by the clock, so they would come after other numbers of jobs each time.
    """
    for name in ("gw_sqla.worker.slots", "gw_sqla.hooks.channels"):
        module: Any = import_module(name)
        module._TURN = float("inf")


async def main() -> None:
    """Run what is counted."""
    let_nobody_have_a_turn()
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    for count in (FEW, FEW, MANY):
        await run(engine, sys.argv[1], count)
        await anyio.run_process(["callgrind_control", "--dump", str(os.getpid())])
    await engine.dispose()


gc.disable()
anyio.run(main)
