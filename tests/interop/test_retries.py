"""A job that one kind failed is tried again by the other, with what it failed of and how often."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, Runner, TaskRegistry
from tests.interop.conftest import AddJob, Environment, Fetch, MakeDue
from tests.interop.node import call, run_once
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

ROWS = "select attempts, last_error, run_at, locked_by, is_available from graphile_worker._private_jobs"


async def test_node_retries_what_we_failed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    make_due: MakeDue,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("t")
    async def t() -> None:
        raise ValueError("not today: naïve 🐘")

    job = await add_job("t", {"n": 1}, queue_name="serial")
    before = datetime.now(UTC)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    (row,) = await fetch(ROWS)
    assert (row["attempts"], row["last_error"], row["locked_by"]) == (1, "ValueError: not today: naïve 🐘", None)
    assert timedelta(0) <= row["run_at"] - before - timedelta(seconds=math.e) < timedelta(seconds=20)

    assert await run_once(environment, {"t": "pass"}) == []  # its backoff is not over
    await make_due(job.id)
    (seen,) = await run_once(environment, {"t": "fail"})
    assert (seen["attempts"], seen["last_error"], seen["payload"]) == (2, row["last_error"], {"n": 1})
    assert seen["queue_name"] == "serial"
    (row,) = await fetch(ROWS)
    assert (row["attempts"], row["last_error"]) == (2, "node failed it")


async def test_we_retry_what_node_failed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    make_due: MakeDue,
    recorder: Recorder,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("t")
    async def t(payload: dict[str, int]) -> None:
        assert payload == {"n": 1}

    (added,) = await call(environment, ["addJob", "t", {"n": 1}, {"queueName": "serial"}])
    await run_once(environment, {"t": "fail"})
    (row,) = await fetch(ROWS)
    assert (row["attempts"], row["last_error"]) == (1, "node failed it")

    runner = Runner(engine, tasks, observers=[recorder])
    assert await runner.run_once() == RunCounts(completed=0, failed=0)  # its backoff is not over
    await make_due(int(added["id"]))
    assert await runner.run_once() == RunCounts(completed=1, failed=0)
    assert [job.attempts for job in recorder.started] == [2]
    assert await fetch(ROWS) == []


async def test_neither_takes_what_the_other_failed_for_good(
    engine: AsyncEngine, tasks: TaskRegistry, environment: Environment, fetch: Fetch
) -> None:
    @tasks.task("t")
    async def t() -> None:
        raise ValueError("no")

    await call(environment, ["addJob", "t", {}, {"maxAttempts": 1}])
    await run_once(environment, {"t": "fail"})
    await fetch("update graphile_worker._private_jobs set run_at = now()")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=0)

    await call(environment, ["addJob", "t", {}, {"maxAttempts": 1, "jobKey": "a second one"}])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    await fetch("update graphile_worker._private_jobs set run_at = now()")
    assert await run_once(environment, {"t": "pass"}) == []
    assert [row["is_available"] for row in await fetch(ROWS)] == [False, False]
