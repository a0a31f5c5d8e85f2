"""Complete, fail and return: guarded by the pool's own lock, each unlocks the job's queue."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

WRITES = ["complete", "complete_alike", "fail", "give_back", "snooze", "release"]


async def write(pool: Pool, how: str, *ids: int) -> set[int]:
    """Do one of the writes to these jobs."""
    written: set[int] = await getattr(pool, how)(*(() if how == "release" else ids))
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
    is_for_jobs_without_queues = how == "complete_alike"
    assert await queues(db) == {"q": "pool-1" if is_for_jobs_without_queues else None, "r": "pool-2"}


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


@pytest.mark.parametrize("how", ["give_back", "release"])
@pytest.mark.parametrize("attempts", [0, 4, 24])
async def test_give_back(pool: Pool, add: Add, db: asyncpg.Connection, how: str, attempts: int) -> None:
    job_id = await add()
    await db.execute("update graphile_worker._private_jobs set attempts = $1", attempts)
    before = (await jobs(db))[job_id]
    await pool.claim()
    await pool.commit()
    assert await write(pool, how, job_id) == {job_id}
    await pool.commit()
    assert (await jobs(db))[job_id] == before, "updated_at and run_at stay"


@pytest.mark.parametrize("how", ["give_back", "release"])
@pytest.mark.parametrize("attempts", [0, 24])
@pytest.mark.parametrize(
    "change",
    [
        "select graphile_worker.remove_job('k')",
        "select graphile_worker.add_job('a', job_key => 'k')",
    ],
    ids=["removed", "replaced"],
)
async def test_what_was_removed_or_replaced_does_not_come_back(
    pool: Pool, add: Add, db: asyncpg.Connection, how: str, attempts: int, change: str
) -> None:
    job_id = await add(job_key="k")
    await db.execute("update graphile_worker._private_jobs set attempts = $1", attempts)
    await pool.claim()
    await pool.commit()
    await db.execute(change)
    assert await write(pool, how, job_id) == {job_id}
    await pool.commit()
    after = (await jobs(db))[job_id]
    assert (after["attempts"], after["locked_by"], after["is_available"]) == (25, None, False)


@pytest.mark.parametrize("how", ["complete", "complete_alike", "fail", "give_back"])
async def test_an_older_run_of_the_same_pool_has_no_say(pool: Pool, add: Add, db: asyncpg.Connection, how: str) -> None:
    """Its job was unlocked by somebody, and claimed anew."""
    job_id = await add(queue_name="q")
    await pool.claim()
    await pool.commit()
    older = dict(pool.runs)
    await db.execute("select graphile_worker.force_unlock_workers(array['pool-1'])")
    await pool.claim()
    await pool.commit()
    before, pool.runs = await jobs(db), older
    assert await write(pool, how, job_id) == set()
    await pool.commit()
    assert await jobs(db) == before
    assert await queues(db) == {"q": "pool-1"}


@pytest.mark.parametrize("how", ["complete", "fail"])
@pytest.mark.parametrize(
    "change",
    ["select graphile_worker.remove_job('k')", "select graphile_worker.add_job('a', job_key => 'k')"],
    ids=["removed", "replaced"],
)
async def test_what_was_removed_or_replaced_is_written_still(
    pool: Pool, add: Add, db: asyncpg.Connection, how: str, change: str
) -> None:
    job_id = await add(job_key="k")
    await pool.claim()
    await pool.commit()
    await db.execute(change)
    assert await write(pool, how, job_id) == {job_id}
    await pool.commit()
    row = (await jobs(db)).get(job_id)
    assert row is None if how == "complete" else row is not None and not row["is_available"]


@pytest.mark.parametrize("known", [False, True])
async def test_the_queue_of_a_job_that_is_gone_is_released(
    pool: Pool, add: Add, db: asyncpg.Connection, known: bool
) -> None:
    """Unless its handler goes on: then the next job of the queue waits."""
    job_id = await add(queue_name="q")
    await pool.claim()
    await pool.commit()
    await db.execute("delete from graphile_worker._private_jobs")
    await pool.release(*[job_id] * known)
    await pool.commit()
    assert await queues(db) == {"q": "pool-1" if known else None}


@pytest.mark.parametrize("how", ["complete", "fail", "give_back", "release"])
@pytest.mark.parametrize("table", ["_private_jobs", "_private_job_queues"])
async def test_around_what_another_transaction_has_locked(
    pool: Pool, claimed: dict[str, int], db: asyncpg.Connection, how: str, table: str
) -> None:
    """The job and its queue are written together or not at all."""
    mine, in_queue = claimed["mine"], claimed["my queue's"]
    arguments = {} if how == "release" else {"around_locks": True}
    ids = [] if how == "release" else [mine, in_queue]
    column = "id" if table == "_private_job_queues" else "job_queue_id"
    async with db.transaction():
        queue_id = await db.fetchval("select id from graphile_worker._private_job_queues where queue_name = 'q'")
        await db.execute(f"select from graphile_worker.{table} where {column} = $1 for update", queue_id)
        if how == "release" and table == "_private_job_queues":
            assert await pool.release() == {mine, in_queue}
            assert pool.busy == {queue_id}
            return
        assert await getattr(pool, how)(*ids, **arguments) == {mine}
        assert pool.busy >= {in_queue}
        await pool.commit()
    assert (await jobs(db))[in_queue]["locked_by"] == "pool-1"
    assert (await queues(db))["q"] == "pool-1"
    assert await getattr(pool, how)(*ids, **arguments) == {in_queue}
    await pool.commit()
    assert (await queues(db))["q"] is None


async def test_what_is_known_is_not_released(pool: Pool, claimed: dict[str, int], db: asyncpg.Connection) -> None:
    assert await pool.release(claimed["my queue's"]) == {claimed["mine"]}
    await pool.commit()
    after = await jobs(db)
    assert (after[claimed["mine"]]["locked_by"], after[claimed["mine"]]["attempts"]) == (None, 0)
    assert after[claimed["my queue's"]]["locked_by"] == "pool-1"
    assert (await queues(db))["q"] == "pool-1"
