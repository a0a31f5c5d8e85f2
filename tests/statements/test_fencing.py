"""A run that was claimed anew by its own pool: the older one writes nothing, although both name the same attempt."""

from __future__ import annotations

import asyncpg
import pytest

from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

WRITES = ["complete", "complete_alike", "complete_by_handler", "fail", "give_back", "snooze"]
UNLOCK = "update graphile_worker._private_jobs set locked_at = null, locked_by = null, attempts = 0"


async def locked_by(db: asyncpg.Connection) -> object:
    return await db.fetchval("select locked_by from graphile_worker._private_jobs")


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("around_locks", [False, True])
async def test_an_older_run_writes_nothing(
    pool: Pool, add: Add, db: asyncpg.Connection, how: str, around_locks: bool
) -> None:
    options = {"around_locks": True} if around_locks and how in {"complete", "fail", "give_back", "snooze"} else {}
    job_id = await add()
    await pool.claim()
    await pool.commit()
    older = dict(pool.runs)
    await db.execute(UNLOCK)
    await pool.claim()
    await pool.commit()
    newer, pool.runs = pool.runs, older
    assert older[job_id].job.attempts == newer[job_id].job.attempts == 1
    assert await getattr(pool, how)(job_id, **options) == set()
    await pool.commit()
    assert await locked_by(db) == "pool-1"
    pool.runs = newer
    assert await getattr(pool, how)(job_id, **options) == {job_id}


@pytest.mark.parametrize("how", WRITES)
async def test_a_lock_that_was_aged_by_hand_is_the_runs_still(
    pool: Pool, add: Add, db: asyncpg.Connection, how: str
) -> None:
    job_id = await add()
    await pool.claim()
    await pool.commit()
    await db.execute("update graphile_worker._private_jobs set locked_at = locked_at - interval '5 hours'")
    assert await getattr(pool, how)(job_id) == {job_id}


@pytest.mark.parametrize("how", ["complete", "complete_by_handler", "fail", "give_back", "snooze"])
async def test_the_queue_that_was_claimed_is_unlocked(pool: Pool, add: Add, db: asyncpg.Connection, how: str) -> None:
    """Not the one that the job is in by now, which the pool has locked for another job."""
    moved, other = await add(queue_name="q"), await add(queue_name="r")
    await pool.claim()
    await pool.commit()
    await db.execute(
        "update graphile_worker._private_jobs set job_queue_id = "
        "(select id from graphile_worker._private_job_queues where queue_name = 'r')"
    )
    assert await getattr(pool, how)(moved) == {moved}
    await pool.commit()
    found = await db.fetch("select queue_name, locked_by from graphile_worker._private_job_queues order by 1")
    assert [tuple(row) for row in found] == [("q", None), ("r", "pool-1")]
    assert await getattr(pool, how)(other) == {other}


async def test_a_run_has_its_lock_whatever_the_attempts_are(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    """Its lock is not released while it runs; afterwards its attempt stays spent, if it had begun."""
    running, begun, claimed = [await add() for _ in range(3)]
    await pool.claim()
    await pool.commit()
    await db.execute("update graphile_worker._private_jobs set attempts = 5")
    pool.spent_ids = [begun]
    assert await pool.release(running) == {begun, claimed}
    await pool.commit()
    found = await db.fetch("select attempts, locked_by from graphile_worker._private_jobs order by id")
    assert [tuple(row) for row in found] == [(5, "pool-1"), (5, None), (4, None)]
