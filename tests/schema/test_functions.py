"""remove_job, complete_jobs, permanently_fail_jobs, reschedule_jobs, force_unlock_workers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

pytestmark = pytest.mark.anyio

LATER = datetime(2100, 1, 1, tzinfo=UTC)
FREE, HELD, STALE = "free", "held", "stale"
"""An unlocked job; one that a worker holds; one that was locked more than four hours ago."""
LOCKS = {FREE: "null", HELD: "now() - interval '239 minutes'", STALE: "now() - interval '241 minutes'"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def ids(db: asyncpg.Connection) -> dict[str, int]:
    """Three jobs, keyed by their state as their key is."""
    found = {}
    for state, since in LOCKS.items():
        found[state] = await db.fetchval(
            "select id from graphile_worker.add_job('a', job_key := $1, queue_name := 'q', max_attempts := 5)", state
        )
        await db.execute(
            "update graphile_worker._private_jobs set attempts = 1, updated_at = 'epoch', "
            f"locked_at = {since}, locked_by = case when '{state}' <> 'free' then 'pool-1' end where key = '{state}'"
        )
    return found


async def jobs(db: asyncpg.Connection) -> dict[int, dict[str, Any]]:
    return {row["id"]: dict(row) for row in await db.fetch("select * from graphile_worker._private_jobs")}


async def now_and_rows(db: asyncpg.Connection, sql: str, *arguments: object) -> tuple[datetime, dict[int, Any]]:
    async with db.transaction():
        now = await db.fetchval("select now()")
        return now, {row["id"]: dict(row) for row in await db.fetch(sql, *arguments)}


@pytest.mark.parametrize("state", [FREE, STALE])
async def test_remove_deletes(db: asyncpg.Connection, ids: dict[str, int], state: str) -> None:
    before = await jobs(db)
    row = await db.fetchrow("select * from graphile_worker.remove_job($1)", state)
    assert row is not None
    assert dict(row) == before[ids[state]]
    assert ids[state] not in await jobs(db)


async def test_remove_of_a_running_job_ends_its_retries(db: asyncpg.Connection, ids: dict[str, int]) -> None:
    before = await jobs(db)
    now, rows = await now_and_rows(db, "select * from graphile_worker.remove_job($1)", HELD)
    assert rows == {ids[HELD]: {**before[ids[HELD]], "key": None, "attempts": 5, "updated_at": now}}
    assert await jobs(db) == before | rows


@pytest.mark.parametrize("key", ["nobody's", None])
async def test_remove_of_nothing_is_a_null_row(db: asyncpg.Connection, ids: dict[str, int], key: str | None) -> None:
    before = await jobs(db)
    (row,) = await db.fetch("select * from graphile_worker.remove_job($1)", key)
    assert set(row.values()) == {None}
    assert await jobs(db) == before


async def test_complete(db: asyncpg.Connection, ids: dict[str, int]) -> None:
    before = await jobs(db)
    rows = await db.fetch("select * from graphile_worker.complete_jobs($1)", [*ids.values(), -1])
    assert {row["id"]: dict(row) for row in rows} == {ids[s]: before[ids[s]] for s in (FREE, STALE)}
    assert (await jobs(db)).keys() == {ids[HELD]}


@pytest.mark.parametrize("message", [None, "because"])
async def test_permanently_fail(db: asyncpg.Connection, ids: dict[str, int], message: str | None) -> None:
    before = await jobs(db)
    sql = "select * from graphile_worker.permanently_fail_jobs($1, $2)"
    now, rows = await now_and_rows(db, sql, [*ids.values(), -1], message)
    changed = {
        "last_error": message or "Manually marked as failed",
        "attempts": 5,
        "updated_at": now,
        "is_available": False,
    }
    assert rows == {ids[s]: {**before[ids[s]], **changed} for s in (FREE, STALE)}
    assert await jobs(db) == before | rows


@pytest.mark.parametrize(
    "changes",
    [{}, {"run_at": LATER}, {"priority": -5}, {"attempts": 0}, {"max_attempts": 9}, {"attempts": 5, "priority": 1}],
)
async def test_reschedule(db: asyncpg.Connection, ids: dict[str, int], changes: dict[str, Any]) -> None:
    before = await jobs(db)
    named = "".join(f", {name} := ${number}" for number, name in enumerate(changes, 2))
    sql = f"select * from graphile_worker.reschedule_jobs($1{named})"
    now, rows = await now_and_rows(db, sql, [*ids.values(), -1], *changes.values())
    expected = {ids[s]: {**before[ids[s]], **changes, "updated_at": now} for s in (FREE, STALE)}
    for row in expected.values():
        row["is_available"] = row["locked_at"] is None and row["attempts"] < row["max_attempts"]
    assert rows == expected
    assert await jobs(db) == before | rows


@pytest.mark.parametrize(
    ("sqlstate", "argument"),
    [
        ("23514", "max_attempts := 0"),
        ("22003", "max_attempts := 32768"),
        ("22003", "priority := 32768"),
        ("22003", "attempts := 32768"),
    ],
)
async def test_reschedule_refuses(db: asyncpg.Connection, ids: dict[str, int], sqlstate: str, argument: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as raised:
        await db.fetch(f"select * from graphile_worker.reschedule_jobs($1, {argument})", [ids[FREE]])
    assert raised.value.sqlstate == sqlstate


async def test_force_unlock(db: asyncpg.Connection, ids: dict[str, int]) -> None:
    await db.execute("select graphile_worker.add_job('a', queue_name := 'other')")
    await db.execute("update graphile_worker._private_job_queues set locked_at = now(), locked_by = queue_name")
    await db.execute(f"update graphile_worker._private_jobs set locked_by = 'pool-2' where key = '{STALE}'")
    before = await jobs(db)
    await db.execute("select graphile_worker.force_unlock_workers(array['pool-1', 'q', 'unknown'])")
    unlocked = {**before[ids[HELD]], "locked_at": None, "locked_by": None, "is_available": True}
    assert await jobs(db) == before | {ids[HELD]: unlocked}
    queues = await db.fetch(
        "select queue_name, locked_by, locked_at is null, is_available "
        "from graphile_worker._private_job_queues order by 1"
    )
    assert [tuple(row) for row in queues] == [("other", "other", False, False), ("q", None, True, True)]
