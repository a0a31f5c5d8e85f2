"""Array payloads gather under a key from both kinds; either retries only the items that the other failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, Runner, TaskRegistry
from tests.interop.conftest import AddJob, Environment, Fetch, MakeDue
from tests.interop.node import call, run_once

pytestmark = pytest.mark.anyio

Item = dict[str, Any]

ROWS = "select payload::text, attempts, last_error from graphile_worker._private_jobs"

A, B, C = {"n": 1}, {"n": 2, "fail": True}, {"n": 3}


@pytest.fixture
def batches(tasks: TaskRegistry) -> list[list[Item]]:
    """What our batch task was given; it fails the items that say so."""
    given: list[list[Item]] = []

    @tasks.task("batch", batch=True)
    async def batch(items: list[Item]) -> list[Exception | None]:
        given.append(items)
        return [ValueError(f"item {item['n']}") if item.get("fail") else None for item in items]

    return given


async def gather(add_job: AddJob, environment: Environment) -> int:
    """Add to one batch: we, then Node, then we."""
    await add_job("batch", [A], job_key="b")
    await call(environment, ["addJob", "batch", [B], {"jobKey": "b"}])
    return (await add_job("batch", [C], job_key="b")).id


async def test_node_retries_the_items_that_we_failed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    batches: list[list[Item]],
    make_due: MakeDue,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    job_id = await gather(add_job, environment)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    assert batches == [[A, B, C]]
    (row,) = await fetch(ROWS)
    assert json.loads(row["payload"]) == [B]
    assert "item 2" in row["last_error"]
    await make_due(job_id)
    (seen,) = await run_once(environment, {"batch": "pass"})
    assert (seen["payload"], seen["attempts"]) == ([B], 2)
    assert await fetch(ROWS) == []


async def test_we_retry_the_items_that_node_failed(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    batches: list[list[Item]],
    make_due: MakeDue,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    job_id = await gather(add_job, environment)
    (seen,) = await run_once(environment, {"batch": "batch"})
    assert seen["payload"] == [A, B, C]
    (row,) = await fetch(ROWS)
    assert json.loads(row["payload"]) == [B]
    assert "node failed an item" in row["last_error"]
    await make_due(job_id)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    assert batches == [[B]]
    (row,) = await fetch(ROWS)
    assert (json.loads(row["payload"]), row["attempts"]) == ([B], 2)


async def test_items_added_while_a_retry_waits_join_it(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    batches: list[list[Item]],
    add_job: AddJob,
    environment: Environment,
) -> None:
    await gather(add_job, environment)
    await run_once(environment, {"batch": "batch"})
    await call(environment, ["addJob", "batch", [C], {"jobKey": "b"}])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    assert batches == [[B, C]]
