"""Claims of several pools side by side: nobody waits, nothing is taken twice, a queue stays serial."""

from __future__ import annotations

import anyio
import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.statements.conftest import Add
from tests.statements.pool import Pool, open_pool

pytestmark = pytest.mark.anyio


async def test_jobs_of_an_open_claim_are_skipped(pool: Pool, rival: Pool, add: Add) -> None:
    jobs = [await add(priority=n) for n in range(5)]
    assert sorted(job.id for job in await pool.claim(2)) == jobs[:2]
    assert sorted(job.id for job in await rival.claim()) == jobs[2:], "a claim that waits would end in lock_timeout"
    await rival.commit()
    await pool.commit()
    assert await rival.claim() == []


async def test_queue_of_an_open_claim_is_skipped(pool: Pool, rival: Pool, add: Add) -> None:
    first, second = [await add(queue_name="q") for _ in range(2)]
    [other] = [await add(queue_name="r")]
    assert [job.id for job in await pool.claim(1)] == [first]
    assert [job.id for job in await rival.claim()] == [other]
    await pool.commit()
    await rival.commit()
    assert await rival.claim() == [], "the queue is locked"
    await rival.commit()
    await pool.complete(first)
    assert await rival.claim() == [], "the completion is not committed"
    await rival.commit()
    await pool.commit()
    assert [job.id for job in await rival.claim()] == [second]


async def test_an_aborted_claim_leaves_no_lock(pool: Pool, rival: Pool, add: Add, db: asyncpg.Connection) -> None:
    job_id = await add(queue_name="q")
    await pool.claim()
    await pool.connection.rollback()
    [job] = await rival.claim()
    assert (job.id, job.attempts) == (job_id, 1)
    await rival.commit()
    assert await db.fetchval("select locked_by from graphile_worker._private_job_queues") == "pool-2"


async def test_a_job_that_another_transaction_edits_is_skipped(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    edited = await add(queue_name="q")
    following = await add(queue_name="q")
    async with db.transaction():
        await db.execute("update graphile_worker._private_jobs set priority = 5 where id = $1", edited)
        assert [job.id for job in await pool.claim()] == [following]


async def test_many_pools_on_few_queues(engine: AsyncEngine, add: Add) -> None:
    """Every job runs once, and never two of one queue at a time, also across a claim's stale snapshot."""
    expected = {await add(queue_name=queue) for queue in ("q", "r", "s", None) for _ in range(25)}
    finished: list[int] = []
    busy: set[str] = set()

    async def work(pool_id: str) -> None:
        async with open_pool(engine, pool_id) as pool:
            while len(finished) < len(expected):
                jobs = await pool.claim(3)
                await pool.commit()
                queues = [job.queue_name for job in jobs if job.queue_name is not None]
                assert len(set(queues)) == len(queues)
                assert not busy & set(queues), f"{busy & set(queues)} ran side by side"
                busy.update(queues)
                for job in jobs:
                    await anyio.lowlevel.checkpoint()
                    busy.discard(job.queue_name or "")
                    assert await pool.complete(job.id) == {job.id}
                    await pool.commit()
                    finished.append(job.id)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as workers:
            for number in range(4):
                workers.start_soon(work, f"pool-{number}")
    assert sorted(finished) == sorted(expected)
