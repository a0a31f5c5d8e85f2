"""Job keys belong to the schema, not to the kind of client that used them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobKeyMode, JobRepository, RunCounts, Runner, TaskRegistry, async_sessionmaker
from tests.interop.conftest import HOURLY, AddJob, Environment, Fetch
from tests.interop.node import call, start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

Add = Callable[..., Awaitable[int]]
"""Add a job of task "t" with key "k" as one of the two kinds; return its id."""

SOON = datetime(2124, 1, 1, tzinfo=UTC)
LATER = datetime(2125, 1, 1, tzinfo=UTC)
BOTH_WAYS = pytest.mark.parametrize(("first", "second"), [("ours", "node's"), ("node's", "ours")])
ROWS = """
    select id, payload::text, run_at, attempts, attempts = max_attempts as spent, revision, key, last_error, priority
    from graphile_worker._private_jobs order by id
"""


@pytest.fixture
def add(add_job: AddJob, environment: Environment) -> Add:
    async def add(
        kind: str, payload: Any, *, mode: str = "replace", run_at: datetime | None = None, priority: int = 0
    ) -> int:
        if kind == "ours":
            key_mode = JobKeyMode(mode)
            job = await add_job("t", payload, job_key="k", job_key_mode=key_mode, run_at=run_at, priority=priority)
            return job.id
        spec: dict[str, Any] = {"jobKey": "k", "jobKeyMode": mode, "priority": priority}
        if run_at is not None:
            spec["runAt"] = run_at.isoformat()
        (added,) = await call(environment, ["addJob", "t", payload, spec])
        return int(added["id"])

    return add


@BOTH_WAYS
@pytest.mark.parametrize(
    ("mode", "payload", "run_at", "priority"),
    [
        ("replace", '{"n":2}', SOON, 5),
        ("preserve_run_at", '{"n":2}', LATER, 5),
        ("unsafe_dedupe", '{"n":1}', LATER, 1),
    ],
)
async def test_second_meets_the_waiting_first(
    add: Add, fetch: Fetch, first: str, second: str, mode: str, payload: str, run_at: datetime, priority: int
) -> None:
    job_id = await add(first, {"n": 1}, run_at=LATER, priority=1)
    assert await add(second, {"n": 2}, mode=mode, run_at=SOON, priority=5) == job_id
    (row,) = await fetch(ROWS)
    assert row["payload"].replace(" ", "") == payload
    assert (row["run_at"], row["priority"], row["revision"], row["key"]) == (run_at, priority, 1, "k")


async def test_ours_meets_one_that_node_runs(add: Add, environment: Environment, fetch: Fetch) -> None:
    """The running job loses its key and its retries; a job of its own takes the key."""
    running = await add("ours", 1)
    async with start_worker(environment, {"t": "waitAndFail"}) as node:
        await node.until(lambda: node.started)
        added = await add("ours", 2, run_at=LATER)
        assert added != running
        await node.go()
        await node.stop()
    old, new = await fetch(ROWS)
    assert (old["id"], old["key"], old["spent"], old["last_error"]) == (running, None, True, "node failed it")
    assert (new["id"], new["key"], new["payload"], new["attempts"], new["revision"]) == (added, "k", "2", 0, 0)


async def test_nodes_meets_one_that_we_run(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add: Add, fetch: Fetch
) -> None:
    """The same the other way round."""
    permit = anyio.Event()

    @tasks.task("t")
    async def t() -> None:
        await permit.wait()
        raise ValueError("we failed it")

    running = await add("node's", 1)
    async with Runner(engine, tasks, HOURLY, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        added = await add("node's", 2, run_at=LATER)
        assert added != running
        permit.set()
        await recorder.until(lambda: recorder.failed)
    old, new = await fetch(ROWS)
    assert (old["id"], old["key"], old["spent"]) == (running, None, True)
    assert old["last_error"] == "ValueError: we failed it"
    assert (new["id"], new["key"], new["payload"], new["attempts"], new["revision"]) == (added, "k", "2", 0, 0)


async def test_unsafe_dedupe_of_ours_is_dropped_while_node_runs_the_first(
    add: Add, environment: Environment, fetch: Fetch
) -> None:
    running = await add("node's", 1)
    async with start_worker(environment, {"t": "wait"}) as node:
        await node.until(lambda: node.started)
        assert await add("ours", 2, mode="unsafe_dedupe") == running
        await node.go()
        await node.stop()
    assert len(node.started) == 1
    assert await fetch(ROWS) == []


async def test_unsafe_dedupe_of_nodes_is_dropped_while_we_run_the_first(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add: Add, fetch: Fetch
) -> None:
    permit = anyio.Event()

    @tasks.task("t")
    async def t() -> None:
        await permit.wait()

    running = await add("ours", 1)
    async with Runner(engine, tasks, HOURLY, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        assert await add("node's", 2, mode="unsafe_dedupe") == running
        permit.set()
        await recorder.until(lambda: recorder.completed)
    assert len(recorder.started) == 1
    assert await fetch(ROWS) == []


async def test_remove_job_takes_what_node_added(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: async_sessionmaker[AsyncSession],
    repo: JobRepository,
    add: Add,
) -> None:
    @tasks.task("t")
    async def t() -> None: ...

    job_id = await add("node's", 1)
    async with sessions.begin() as session:
        removed = await repo.remove_job(session, "k")
    assert removed is not None
    assert removed.id == job_id
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=0)
