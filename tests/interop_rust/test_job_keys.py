"""Job keys belong to the schema; a job that lost its key while it ran is not brought back by the end of its worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobKeyMode,
    JobRepository,
    Outcome,
    RunCounts,
    Runner,
    RunnerSettings,
    Snooze,
    TaskRegistry,
    async_sessionmaker,
)
from tests.interop.conftest import HOURLY, AddJob, Fetch
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import call, start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

Add = Callable[..., Awaitable[int]]
"""Add a job of task "wait" with key "k" as one of the two kinds; return its id."""

ROWS = """
    select id, payload::text, attempts, attempts = max_attempts as spent, revision, key, last_error, priority, locked_by
    from graphile_worker._private_jobs order by id
"""
HAD = "select from graphile_worker._private_jobs where locked_by is not null"
RETIRED = "select id from graphile_worker._private_job_retirements"


@pytest.fixture
def add(add_job: AddJob, environment: Environment) -> Add:
    async def add(kind: str, payload: Any, *, mode: str = "replace", task: str = "wait", priority: int = 0) -> int:
        if kind == "ours":
            key_mode = JobKeyMode(mode)
            return (await add_job(task, payload, job_key="k", job_key_mode=key_mode, priority=priority)).id
        spec = {"job_key": "k", "job_key_mode": mode, "priority": priority}
        (added,) = await call(environment, ["add_job", task, payload, spec])
        return int(added["id"])

    return add


@pytest.mark.parametrize(("first", "second"), [("ours", "rust's"), ("rust's", "ours")])
@pytest.mark.parametrize(
    ("mode", "payload", "priority"),
    [("replace", '{"n":2}', 5), ("preserve_run_at", '{"n":2}', 5), ("unsafe_dedupe", '{"n":1}', 1)],
)
async def test_second_meets_the_waiting_first(
    add: Add, fetch: Fetch, first: str, second: str, mode: str, payload: str, priority: int
) -> None:
    job_id = await add(first, {"n": 1}, priority=1)
    assert await add(second, {"n": 2}, mode=mode, priority=5) == job_id
    (row,) = await fetch(ROWS)
    assert row["payload"].replace(" ", "") == payload
    assert (row["priority"], row["revision"], row["key"]) == (priority, 1, "k")


async def test_ours_meets_one_that_rust_runs(add: Add, environment: Environment, fetch: Fetch) -> None:
    running = await add("ours", 1, task="wait_and_fail")
    async with start_worker(environment, ["wait_and_fail"]) as rust:
        await rust.until(lambda: rust.started)
        added = await add("ours", 2)
        assert added != running
        await rust.go()
        await rust.stop()
    old, new = await fetch(ROWS)
    assert (old["id"], old["key"], old["spent"], old["locked_by"]) == (running, None, True, None)
    assert "rust failed it" in old["last_error"]
    assert (new["id"], new["key"], new["payload"], new["attempts"]) == (added, "k", "2", 0)


@pytest.mark.parametrize("end", ["fails", "is snoozed", "is given back"])
@pytest.mark.parametrize("how", ["replaced", "removed"])
async def test_rusts_meets_one_that_we_have(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add: Add,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
    end: str,
    how: str,
) -> None:
    """However it ends with us, it is not run again; Rust has marked it."""
    permit = anyio.Event()

    @tasks.task("wait")
    async def wait() -> None:
        await permit.wait()
        raise Snooze(timedelta(0)) if end == "is snoozed" else ValueError("we failed it")

    if end == "is given back":
        await add_job("wait", "occupies us")
    ours = await add("rust's", 1)
    settings = RunnerSettings(poll_interval=HOURLY.poll_interval, concurrency=1, prefetch=1)
    async with Runner(engine, tasks, settings, observers=[recorder]) as runner:
        with anyio.fail_after(20):
            while not await fetch(f"{HAD} and id = $1", ours):
                await anyio.lowlevel.checkpoint()
        if how == "removed":
            await call(environment, ["remove_job", "k"])
        else:
            assert await add("rust's", 2, task="pass") != ours
        assert [row["id"] for row in await fetch(RETIRED)] == [ours]
        runner.stop()
        permit.set()
    ended: Sequence[Outcome] = recorder.returned if end == "is given back" else recorder.failed
    assert ours in [outcome.job.id for outcome in ended]
    old, *new = [row for row in await fetch(ROWS) if row["payload"] != '"occupies us"']
    assert (old["id"], old["key"], old["spent"], old["locked_by"]) == (ours, None, True, None)
    assert [row["key"] for row in new] == (["k"] if how == "replaced" else [])
    assert await fetch("select from graphile_worker._private_jobs where id = $1 and is_available", ours) == []


async def test_unsafe_dedupe_is_dropped_while_the_other_runs_the_first(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add: Add, environment: Environment, fetch: Fetch
) -> None:
    permit = anyio.Event()

    @tasks.task("wait")
    async def wait() -> None:
        await permit.wait()

    running = await add("ours", 1)
    async with Runner(engine, tasks, HOURLY, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        assert await add("rust's", 2, mode="unsafe_dedupe") == running
        permit.set()
        await recorder.until(lambda: recorder.completed)
    running = await add("rust's", 1)
    async with start_worker(environment, ["wait"]) as rust:
        await rust.until(lambda: rust.started)
        assert await add("ours", 2, mode="unsafe_dedupe") == running
        await rust.go()
        await rust.stop()
    assert (len(recorder.started), len(rust.started)) == (1, 1)
    assert await fetch(ROWS) == []


async def test_remove_job_takes_what_the_other_added(
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
    repo: JobRepository,
    tasks: TaskRegistry,
    add: Add,
    environment: Environment,
) -> None:
    @tasks.task("wait")
    async def wait() -> None: ...

    job_id = await add("rust's", 1)
    async with sessions.begin() as session:
        removed = await repo.remove_job(session, "k")
    assert removed is not None
    assert removed.id == job_id
    await add("ours", 1)
    await call(environment, ["remove_job", "k"])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=0)
