"""Complete, fail and return: guarded by the pool's own lock, each unlocks the job's queue."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

WRITES = ["complete", "fail", "give_back", "give_back_forgotten"]


async def write(pool: Pool, how: str, *ids: int) -> set[int]:
    """Do one of the four writes to these jobs."""
    written: set[int] = await getattr(pool, how)(*(() if how == "give_back_forgotten" else ids))
    return written


async def jobs(db: asyncpg.Connection) -> dict[int, dict[str, Any]]:
    return {row["id"]: dict(row) for row in await db.fetch("select * from graphile_worker._private_jobs")}


async def queues(db: asyncpg.Connection) -> dict[str, str | None]:
    rows = await db.fetch("select queue_name, locked_by, locked_at from graphile_worker._private_job_queues")
    assert all((row["locked_by"] is None) == (row["locked_at"] is None) for row in rows)
    return {row["queue_name"]: row["locked_by"] for row in rows}


@pytest.fixture
async def claimed(pool: Pool, rival: Pool, add: Add, db: asyncpg.Connection) -> dict[str, int]:
    """Jobs of two pools, with and without a queue, and one that nobody has."""
    ids = {"mine": await add(), "my queue's": await add(queue_name="q")}
    assert len(await pool.claim()) == 2
    ids |= {"theirs": await add(), "their queue's": await add(queue_name="r")}
    await pool.commit()
    assert len(await rival.claim()) == 2
    await rival.commit()
    ids["nobody's"] = await add()
    await db.execute("update graphile_worker._private_jobs set updated_at = 'epoch'")
    return ids


@pytest.mark.parametrize("how", WRITES)
async def test_only_jobs_that_the_pool_has_are_touched(
    pool: Pool, claimed: dict[str, int], db: asyncpg.Connection, how: str
) -> None:
    before = await jobs(db)
    touched = await write(pool, how, *claimed.values(), 10**12)
    await pool.commit()
    mine = {claimed["mine"], claimed["my queue's"]}
    assert touched == mine
    after = await jobs(db)
    assert {job_id: row for job_id, row in before.items() if job_id not in mine} == {
        job_id: row for job_id, row in after.items() if job_id not in mine
    }
    assert await queues(db) == {"q": None, "r": "pool-2"}


@pytest.mark.parametrize("how", WRITES)
async def test_a_lost_lock_is_told_and_nothing_written(
    pool: Pool, rival: Pool, claimed: dict[str, int], db: asyncpg.Connection, how: str
) -> None:
    """An administrator unlocked the job, another pool runs it now."""
    await db.execute("select graphile_worker.force_unlock_workers(array['pool-1'])")
    await rival.claim()
    await rival.commit()
    before = await jobs(db)
    assert await write(pool, how, claimed["mine"], claimed["my queue's"]) == set()
    await pool.commit()
    assert await jobs(db) == before
    assert await queues(db) == {"q": "pool-2", "r": "pool-2"}


@pytest.mark.parametrize("how", WRITES)
async def test_a_queue_that_another_pool_locked_stays_locked(
    pool: Pool, claimed: dict[str, int], db: asyncpg.Connection, how: str
) -> None:
    await db.execute("update graphile_worker._private_job_queues set locked_by = 'pool-3' where queue_name = 'q'")
    assert claimed["my queue's"] in await write(pool, how, claimed["my queue's"])
    await pool.commit()
    assert (await queues(db))["q"] == "pool-3"


@pytest.mark.parametrize("how", WRITES)
async def test_nothing_to_write(pool: Pool, db: asyncpg.Connection, how: str) -> None:
    assert await write(pool, how) == set()


async def test_complete_deletes(pool: Pool, claimed: dict[str, int], db: asyncpg.Connection) -> None:
    assert await pool.complete(claimed["mine"]) == {claimed["mine"]}
    await pool.commit()
    assert claimed["mine"] not in await jobs(db)


@pytest.mark.parametrize(("attempts", "expected"), [(1, 0), (5, 4), (0, 0)])
async def test_give_back(
    pool: Pool, claimed: dict[str, int], db: asyncpg.Connection, attempts: int, expected: int
) -> None:
    job_id = claimed["mine"]
    await db.execute("update graphile_worker._private_jobs set attempts = $1", attempts)
    before = (await jobs(db))[job_id]
    assert await pool.give_back(job_id) == {job_id}
    await pool.commit()
    changed = {"attempts": expected, "locked_at": None, "locked_by": None, "is_available": True}
    assert (await jobs(db))[job_id] == before | changed, "updated_at and run_at stay"


async def test_give_back_forgotten_keeps_what_is_known(
    pool: Pool, claimed: dict[str, int], db: asyncpg.Connection
) -> None:
    assert await pool.give_back_forgotten(claimed["my queue's"]) == {claimed["mine"]}
    await pool.commit()
    after = await jobs(db)
    assert (after[claimed["mine"]]["locked_by"], after[claimed["mine"]]["attempts"]) == (None, 0)
    assert after[claimed["my queue's"]]["locked_by"] == "pool-1"
    assert (await queues(db))["q"] == "pool-1"
