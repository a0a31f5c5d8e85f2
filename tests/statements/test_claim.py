"""What one claim takes, in which order, and what it writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from gw_sqla.statements.claim_rules import Bounds, Reach
from gw_sqla.worker.claim_cursor import START, CursorPosition, Look
from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


async def row(db: asyncpg.Connection, table: str, **key: object) -> dict[str, Any]:
    [(column, value)] = key.items()
    found = await db.fetchrow(f"select * from graphile_worker.{table} where {column} = $1", value)
    assert found is not None
    return dict(found)


async def test_order_is_by_priority_then_run_at(pool: Pool, add: Add) -> None:
    third = await add(priority=0, run_at=NOON)
    first = await add(priority=-1, run_at=NOON + timedelta(hours=1))
    fourth = await add(priority=0, run_at=NOON + timedelta(seconds=1), queue_name="q")
    second = await add(priority=-1, run_at=NOON + timedelta(hours=2), queue_name="r")
    claimed = [(await pool.claim(1))[0].id for _ in range(4)]
    assert claimed == [first, second, third, fourth]
    assert await pool.claim() == []


async def test_a_batch_is_the_most_urgent_jobs_of_both_branches(pool: Pool, add: Add) -> None:
    jobs = [await add(priority=n, queue_name=f"q{n}" if n % 2 else None) for n in range(8)]
    assert {job.id for job in await pool.claim(5)} == set(jobs[:5])
    assert {job.id for job in await pool.claim(5)} == set(jobs[5:])


async def test_what_a_claim_returns_and_writes(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    job_id = await add(
        payload='{"b":  [1]}', queue_name="q", run_at=NOON, max_attempts=3, job_key="k", priority=-7, flags=["x"]
    )
    await db.execute("update graphile_worker._private_jobs set attempts = 1, updated_at = 'epoch'")
    before = await row(db, "_private_jobs", id=job_id)
    now = await pool.now()
    [job] = await pool.claim()
    await pool.commit()
    assert job.payload_text == '{"b":  [1]}'
    assert (job.id, job.task_identifier, job.queue_name, job.key) == (job_id, "a", "q", "k")
    assert (job.priority, job.run_at, job.attempts, job.max_attempts, job.flags) == (-7, NOON, 2, 3, {"x": True})
    changed = {"attempts": 2, "locked_at": now, "locked_by": "pool-1", "is_available": False}
    assert await row(db, "_private_jobs", id=job_id) == before | changed
    queue = await row(db, "_private_job_queues", queue_name="q")
    assert (queue["locked_at"], queue["locked_by"], queue["is_available"]) == (now, "pool-1", False)


async def test_a_job_without_a_queue_locks_none(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    await add()
    await db.execute("insert into graphile_worker._private_job_queues (queue_name) values ('q')")
    [job] = await pool.claim()
    await pool.commit()
    assert job.queue_name is None
    assert (await row(db, "_private_job_queues", queue_name="q"))["is_available"] is True


async def test_one_job_of_each_queue_and_all_without(pool: Pool, add: Add) -> None:
    queued = {name: [await add(queue_name=name) for _ in range(3)] for name in ("q", "r")}
    free = [await add() for _ in range(3)]
    claimed = sorted(job.id for job in await pool.claim())
    assert claimed == sorted([queued["q"][0], queued["r"][0], *free])
    assert await pool.claim() == [], "the queues are locked, by this very pool"


async def test_the_most_urgent_due_job_stands_for_its_queue(pool: Pool, add: Add) -> None:
    await add(queue_name="q", run_at=NOON)
    await add(queue_name="q", priority=-2, run_at=datetime(2100, 1, 1, tzinfo=UTC))
    urgent = await add(queue_name="q", priority=-1)
    assert [job.id for job in await pool.claim()] == [urgent]


async def test_jobs_without_a_queue_are_looked_for_after_a_place(pool: Pool, add: Add) -> None:
    jobs = [await add(run_at=NOON) for _ in range(4)]
    later = await add(run_at=NOON + timedelta(seconds=1))
    less_urgent = await add(priority=1, run_at=NOON - timedelta(days=1))
    queued = await add(queue_name="q", priority=-1, run_at=NOON)
    look = Look(CursorPosition(0, NOON, jobs[1]), START)
    claimed = await pool.claim(look=look)
    assert {job.id for job in claimed} == {*jobs[2:], later, less_urgent, queued}


async def test_jobs_in_queues_are_looked_for_after_another_place(pool: Pool, add: Add) -> None:
    jobs = [await add(queue_name=f"q{n}", run_at=NOON) for n in range(4)]
    less_urgent = await add(queue_name="less", priority=1, run_at=NOON - timedelta(days=1))
    unqueued = await add(priority=-1, run_at=NOON)
    look = Look(START, CursorPosition(0, NOON, jobs[1]))
    claimed = await pool.claim(look=look)
    assert {job.id for job in claimed} == {*jobs[2:], less_urgent, unqueued}


async def test_a_queue_gives_its_first_job_though_a_later_one_was_met(pool: Pool, add: Add) -> None:
    """A place in the order never changes that of a queue."""
    first = await add(queue_name="q", run_at=NOON)
    await add(queue_name="q", run_at=NOON + timedelta(seconds=2))
    place = CursorPosition(0, NOON + timedelta(seconds=1), 0)
    assert [job.id for job in await pool.claim(look=Look(START, place))] == [first]


async def test_released_queues_are_looked_at_wherever_their_jobs_are(pool: Pool, add: Add) -> None:
    before = [await add(queue_name=f"q{n}", run_at=NOON) for n in range(3)]
    after = await add(queue_name="after", run_at=NOON + timedelta(seconds=9))
    ids = {job.queue_name: job.queue_id or 0 for job in await pool.claim()}
    await pool.give_back(*before, after)
    place = CursorPosition(0, NOON + timedelta(seconds=1), 0)
    released = [ids["q1"], ids["q1"], ids["after"], 10**9]
    look = Look(START, place, released)
    assert {job.id for job in await pool.claim(look=look)} == {before[1], after}


async def test_jobs_in_queues_are_left_where_nobody_asks_for_them(pool: Pool, add: Add) -> None:
    await add(queue_name="q", priority=-1)
    job = await add()
    assert [job.id for job in await pool.claim(look=Look(START, START, reach=Reach.ONWARD_UNQUEUED))] == [job]
    assert len(await pool.claim()) == 1


async def test_among_equals_the_ones_added_first_are_taken(pool: Pool, add: Add) -> None:
    """Else a place in the order, to go on from, would leave out those before it."""
    queued = await add(queue_name="q", run_at=NOON)
    jobs = [await add(run_at=NOON) for _ in range(40)]
    claimed = await pool.claim(20)
    assert {job.id for job in claimed} == {queued, *jobs[:19]}


async def test_queues_are_taken_in_the_order_of_their_first_jobs(pool: Pool, add: Add) -> None:
    jobs = [await add(queue_name=f"q{n}", priority=n) for n in (4, 0, 3, 1, 2)]
    assert [job.id for job in await pool.claim(1)] == [jobs[1]]
    assert {job.id for job in await pool.claim(2)} == {jobs[3], jobs[4]}


@pytest.mark.parametrize("queue", [None, "q"])
@pytest.mark.parametrize(
    "state",
    [
        "run_at = now() + interval '1 hour'",
        "attempts = max_attempts",
        "locked_at = now(), locked_by = 'pool-9'",
        "locked_at = now() - interval '5 hours', locked_by = 'pool-9'",
        "task_id = -1",
    ],
)
async def test_what_is_not_due_stays(
    pool: Pool, add: Add, db: asyncpg.Connection, queue: str | None, state: str
) -> None:
    job_id = await add(queue_name=queue)
    await db.execute(f"update graphile_worker._private_jobs set {state}")
    before = await row(db, "_private_jobs", id=job_id)
    due = await add(queue_name=queue)
    assert [job.id for job in await pool.claim()] == [due], "what is not due does not hold its queue up"
    assert await row(db, "_private_jobs", id=job_id) == before


@pytest.mark.parametrize("queue", [None, "q"])
async def test_tasks_that_the_pool_does_not_support_stay(
    pool: Pool, add: Add, db: asyncpg.Connection, queue: str | None
) -> None:
    await db.execute("select graphile_worker.add_job('b', queue_name := $1)", queue)
    job_id = await add(queue_name=queue)
    assert await pool.claim(tasks=["c", "unheard of"]) == []
    assert [job.id for job in await pool.claim(tasks=["a", "unheard of"])] == [job_id]


async def test_locked_queues_wait(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    await add(queue_name="q")
    free = await add(queue_name="r")
    await db.execute(
        "update graphile_worker._private_job_queues set locked_at = '2020-01-01', locked_by = 'pool-9' "
        "where queue_name = 'q'"
    )
    assert [job.id for job in await pool.claim()] == [free], "however old the lock is: recovery's business"


@pytest.mark.parametrize("queue", [None, "q"])
async def test_forbidden_flags(pool: Pool, add: Add, queue: str | None) -> None:
    flagged = await add(flags=["x", "y"], queue_name=queue)
    plain = await add(queue_name=queue)
    assert [job.id for job in await pool.claim(forbidden=["y", "z"])] == [plain]
    await pool.complete(plain)
    assert [job.id for job in await pool.claim(forbidden=["z"])] == [flagged]
    await pool.give_back(flagged)
    assert [job.id for job in await pool.claim()] == [flagged], "nothing is forbidden unless asked for"


async def test_a_collected_task_identifier_is_looked_up_anew(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    assert await pool.claim() == []
    await add()
    await pool.complete(*[job.id for job in await pool.claim()])
    await pool.commit()
    await db.execute("delete from graphile_worker._private_tasks")
    job_id = await add()
    assert [job.id for job in await pool.claim()] == [job_id]


@pytest.mark.parametrize("run_at", ["-infinity", "0044-03-15 BC", "0001-01-01 00:00+00"])
async def test_times_that_python_cannot_hold(pool: Pool, db: asyncpg.Connection, run_at: str) -> None:
    """One job that SQL added with such a time would end every claim that meets it."""
    await db.execute(f"select graphile_worker.add_job('a', run_at := '{run_at}')")
    [job] = await pool.claim()
    assert job.run_at == datetime.min.replace(tzinfo=UTC)


async def test_it_takes_so_many_bytes(pool: Pool, add: Add, db: asyncpg.Connection) -> None:
    """Large payloads come one at a time where nothing bounds them, small ones with them."""
    for _ in range(3):
        await add()
    await db.execute("update graphile_worker._private_jobs set payload = to_json(repeat('x', 40000000))")
    await add()
    first = await pool.claim()
    assert sorted(len(job.payload_text) for job in first) == [2, 40_000_002]
    assert [len(job.payload_text) for job in await pool.claim()] == [40_000_002]
    assert [len(job.payload_text) for job in await pool.claim()] == [40_000_002]
    assert await pool.claim() == []


def test_bounds_by_bytes() -> None:
    """Half of the bytes are for small payloads, half for large ones; neither is ever none."""
    assert Bounds.of(32, 2**22) == Bounds(large=2**20, most_large=8)
    assert Bounds.of(100_000, 2**30) == Bounds(large=1024, most_large=1)
    assert Bounds.of(1, None) == Bounds(large=2**25, most_large=1)
