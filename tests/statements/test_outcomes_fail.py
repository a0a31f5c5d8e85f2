"""A failed attempt: the contract's backoff, and what departs from it."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def claimed(pool: Pool, add: Add, db: asyncpg.Connection, attempt: int) -> int:
    """A job in this attempt of 25."""
    added = await add(payload='["x", "y"]', queue_name="q")
    await db.execute("update graphile_worker._private_jobs set updated_at = 'epoch', attempts = $1", attempt - 1)
    await pool.claim()
    await pool.commit()
    return added


@pytest.fixture
async def job_id(pool: Pool, add: Add, db: asyncpg.Connection) -> int:
    return await claimed(pool, add, db, 1)


async def row(db: asyncpg.Connection, job_id: int) -> dict[str, Any]:
    found = await db.fetchrow("select * from graphile_worker._private_jobs where id = $1", job_id)
    assert found is not None
    return dict(found)


async def fail(pool: Pool, job_id: int, **arguments: Any) -> datetime:
    """Fail the job and return the transaction's time."""
    now: datetime = await pool.now()
    assert await pool.fail(job_id, **arguments) == {job_id}
    await pool.commit()
    return now


async def test_what_a_failure_writes(pool: Pool, job_id: int, db: asyncpg.Connection) -> None:
    before = await row(db, job_id)
    now = await fail(pool, job_id, messages=["because"])
    run_at = now + timedelta(microseconds=round(math.e * 1e6))
    changed = {"last_error": "because", "run_at": run_at, "locked_at": None, "locked_by": None, "is_available": True}
    assert await row(db, job_id) == before | changed, "attempts, payload and updated_at stay"
    assert await db.fetchval("select is_available from graphile_worker._private_job_queues") is True


@pytest.mark.parametrize("attempts", [1, 2, 9, 10, 11, 24])
async def test_backoff(pool: Pool, add: Add, db: asyncpg.Connection, attempts: int) -> None:
    job_id = await claimed(pool, add, db, attempts)
    now = await fail(pool, job_id)
    waited = (await row(db, job_id))["run_at"] - now
    assert abs(waited.total_seconds() - math.exp(min(attempts, 10))) < 0.001


async def test_backoff_counts_from_a_run_at_that_lies_ahead(pool: Pool, job_id: int, db: asyncpg.Connection) -> None:
    await db.execute("update graphile_worker._private_jobs set run_at = $1", LATER)
    await fail(pool, job_id, delays=[5.0])
    assert (await row(db, job_id))["run_at"] == LATER + timedelta(seconds=5)


@pytest.mark.parametrize("delay", [0.0, 0.25, 86400.0 * 3650])
async def test_delay_replaces_the_backoff(pool: Pool, job_id: int, db: asyncpg.Connection, delay: float) -> None:
    now = await fail(pool, job_id, delays=[delay])
    assert (await row(db, job_id))["run_at"] == now + timedelta(seconds=delay)


async def test_final(pool: Pool, job_id: int, db: asyncpg.Connection) -> None:
    await fail(pool, job_id, final=[True])
    after = await row(db, job_id)
    assert (after["attempts"], after["is_available"], after["locked_by"]) == (25, False, None)


async def test_out_of_attempts(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    job_id = await claimed(pool, add, db, 25)
    await fail(pool, job_id)
    after = await row(db, job_id)
    assert (after["attempts"], after["is_available"]) == (25, False)


async def test_final_never_takes_attempts_back(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    """Somebody has set max_attempts below while the job ran."""
    job_id = await claimed(pool, add, db, 7)
    await db.execute("update graphile_worker._private_jobs set max_attempts = 3")
    await fail(pool, job_id, final=[True])
    assert (await row(db, job_id))["attempts"] == 7


async def test_payload_is_replaced(pool: Pool, job_id: int, db: asyncpg.Connection) -> None:
    await fail(pool, job_id, payloads=['["y"]'])
    assert json.loads((await row(db, job_id))["payload"]) == ["y"]


async def test_each_of_several_fails_in_its_own_way(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    first, second, third = [await add(payload="[1]") for _ in range(3)]
    await pool.claim()
    now = await pool.now()
    failed = await pool.fail(
        first,
        second,
        third,
        messages=["one", "two", "three"],
        delays=[None, 60.0, 5.0],
        final=[False, False, True],
        payloads=[None, "[2]", None],
    )
    await pool.commit()
    assert failed == {first, second, third}
    rows = [await row(db, job_id) for job_id in (first, second, third)]
    assert [found["last_error"] for found in rows] == ["one", "two", "three"]
    assert [found["attempts"] for found in rows] == [1, 1, 25]
    assert [found["payload"] for found in rows] == ["[1]", "[2]", "[1]"]
    assert rows[1]["run_at"] - now == timedelta(seconds=60)
