"""Jobs run by the other kind, both ways, and tried again by it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import ClaimedJob, JobContext, RunCounts, Runner, TaskRegistry
from tests.interop.conftest import HOURLY, AddJob, Fetch, MakeDue
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import call, run_once, start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

ROWS = "select attempts, last_error, locked_by from graphile_worker._private_jobs"
LISTENS = """
    select exists (
      select from pg_stat_activity where datname = current_database() and state = 'idle' and query ~ 'LISTEN.+worker:'
    )
"""


@pytest.fixture
def given(tasks: TaskRegistry) -> list[tuple[Any, ClaimedJob]]:
    """What our handler of the task "pass" was given."""
    given: list[tuple[Any, ClaimedJob]] = []

    @tasks.task("pass")
    async def run(payload: Any, ctx: JobContext) -> None:
        given.append((payload, ctx.job))

    return given


async def test_rust_runs_ours_with_every_field(add_job: AddJob, environment: Environment, fetch: Fetch) -> None:
    payload = {"text": "späť 🐘 \\ \" '", "deep": [1, 2.5, None, True]}
    job = await add_job(
        "pass", payload, queue_name="q", max_attempts=3, job_key="pass:7", priority=-5, flags=["big", "slow"]
    )
    (seen,) = await run_once(environment, ["pass"])
    expected = {
        "id": job.id,
        "payload": payload,
        "attempts": 1,
        "max_attempts": 3,
        "key": "pass:7",
        "priority": -5,
        "flags": {"big": True, "slow": True},
        "last_error": None,
    }
    assert {name: seen[name] for name in expected} == expected
    assert await fetch(ROWS) == []
    (queue,) = await fetch("select locked_at, locked_by from graphile_worker._private_job_queues")
    assert tuple(queue) == (None, None)


async def test_we_run_rusts_with_every_field(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    given: list[tuple[Any, ClaimedJob]],
    environment: Environment,
    fetch: Fetch,
) -> None:
    payload = {"text": "späť 🐘 \\ \" '", "deep": [1, 2.5, None, True]}
    spec = {"queue_name": "q", "max_attempts": 3, "job_key": "pass:7", "priority": -5, "flags": ["big"]}
    added, several = await call(
        environment, ["add_job", "pass", payload, spec], ["add_jobs", [["pass", n, {"priority": n}] for n in range(3)]]
    )
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=4, failed=0)
    (first, job), *others = sorted(given, key=lambda both: both[1].priority)
    assert first == payload
    assert (job.id, job.queue_name, job.attempts, job.max_attempts) == (added["id"], "q", 1, 3)
    assert (job.key, job.priority, job.flags) == ("pass:7", -5, {"big": True})
    assert [payload for payload, _ in others] == [0, 1, 2]
    assert {job.id for _, job in others} == {job["id"] for job in several}  # in no order: its function gives none
    assert await fetch(ROWS) == []


async def test_we_retry_what_rust_failed_and_rust_what_we_did(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    make_due: MakeDue,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("we failed it")

    (added,) = await call(environment, ["add_job", "fail", {}, {"queue_name": "q", "max_attempts": 3}])
    for attempt in (1, 2, 3):
        if attempt == 2:
            assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=0, failed=1)
            assert recorder.started[0].attempts == 2
        else:
            assert [job["attempts"] for job in await run_once(environment, ["fail"])] == [attempt]
        ((attempts, error, owner),) = await fetch(ROWS)
        assert (attempts, owner) == (attempt, None)
        assert ("we failed it" if attempt == 2 else "rust failed it") in error
        await make_due(added["id"])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=0)
    assert await run_once(environment, ["fail"]) == []


async def test_each_wakes_the_other(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    given: list[tuple[Any, ClaimedJob]],
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    """Both poll once an hour."""
    async with Runner(engine, tasks, HOURLY, observers=[recorder]):
        with anyio.fail_after(20):
            while not (await fetch(LISTENS))[0][0]:
                await anyio.lowlevel.checkpoint()
        await add_job("pass", "shows that it has looked")
        await recorder.until(lambda: len(recorder.completed) == 1)
        await call(environment, ["add_job", "pass", "rust's", {}])
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert [payload for payload, _ in given] == ["shows that it has looked", "rust's"]

    async with start_worker(environment, ["pass"], poll=3_600_000) as rust:
        with anyio.fail_after(20):
            while not await fetch("select from pg_stat_activity where query ~* '^listen.+jobs:insert'"):
                await anyio.lowlevel.checkpoint()
        await add_job("pass", "ours")
        await rust.until(lambda: rust.started)
        await rust.stop()
    assert [job["payload"] for job in rust.started] == ["ours"]
