"""add_jobs and remove_job against transactions that hold, claim, complete or replace the same rows.

Nothing here depends on timing: one connection holds what the others need, and lets go when
PostgreSQL says that they wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import asyncpg
import pytest

from tests.schema.waiting import until_blocked

pytestmark = pytest.mark.anyio

CLAIM = """
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'pool-1', attempts = attempts + 1
    where key = 'k'
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Calls:
    """Runs queries side by side and keeps their rows or errors."""

    def __init__(self) -> None:
        self.rows: dict[str, list[asyncpg.Record]] = {}

    async def run(self, name: str, query: Callable[[], Awaitable[list[asyncpg.Record]]]) -> None:
        self.rows[name] = await query()


def adding(db: asyncpg.Connection, *keys: str, identifiers: tuple[str, ...] = ()) -> Callable[[], Awaitable[list[Any]]]:
    names = identifiers or ("a",) * len(keys)
    specs = [(name, None, None, None, None, key, None, None) for name, key in zip(names, keys, strict=True)]
    return lambda: db.fetch("select * from graphile_worker.add_jobs($1)", specs)


def removing(db: asyncpg.Connection, key: str) -> Callable[[], Awaitable[list[Any]]]:
    return lambda: db.fetch("select * from graphile_worker.remove_job($1)", key)


async def test_same_keys_in_opposite_order(
    db: asyncpg.Connection, db2: asyncpg.Connection, db3: asyncpg.Connection
) -> None:
    """Two calls that took rows in the order of their specs would deadlock here."""
    await adding(db, "a", "b")()
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await db.execute("select from graphile_worker._private_jobs where key = 'a' for update")
            group.start_soon(calls.run, "one", adding(db2, "a", "b"))
            group.start_soon(calls.run, "two", adding(db3, "b", "a"))
            await until_blocked(db, db2, db3)
    assert [row["key"] for row in calls.rows["one"]] == ["a", "b"]
    assert [row["key"] for row in calls.rows["two"]] == ["b", "a"]
    revisions = await db.fetch("select revision from graphile_worker._private_jobs")
    assert [row["revision"] for row in revisions] == [2, 2]


async def test_new_and_existing_keys_are_taken_in_one_order(db: asyncpg.Connection, db2: asyncpg.Connection) -> None:
    """To lock the existing 'b' before inserting the new 'a' would deadlock with the transaction that holds 'a'."""
    await adding(db, "b")()
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await adding(db, "a")()
            group.start_soon(calls.run, "both", adding(db2, "b", "a"))
            await until_blocked(db, db2)
            await adding(db, "b")()
    assert [(row["key"], row["revision"]) for row in calls.rows["both"]] == [("b", 2), ("a", 1)]


async def test_new_tasks_are_inserted_in_one_order(
    db: asyncpg.Connection, db2: asyncpg.Connection, db3: asyncpg.Connection
) -> None:
    """A call that waits for the name 'a' does not hold the name 'b' meanwhile."""
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await adding(db, "k", identifiers=("a",))()
            group.start_soon(calls.run, "both", adding(db2, "l", "m", identifiers=("b", "a")))
            await until_blocked(db, db2)
            await adding(db3, "n", identifiers=("b",))()
    assert len(calls.rows["both"]) == 2


@pytest.mark.parametrize("statement", [CLAIM, "delete from graphile_worker._private_jobs where key = 'k'"])
async def test_claimed_or_completed_while_the_call_waits(
    db: asyncpg.Connection, db2: asyncpg.Connection, statement: str
) -> None:
    """The caller gets a row, a new one: never an empty one."""
    (old,) = await adding(db, "k")()
    calls = Calls()

    async def add_job() -> list[asyncpg.Record]:
        return await db2.fetch("select * from graphile_worker.add_job('a', job_key := 'k')")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await db.execute(statement)
            group.start_soon(calls.run, "added", add_job)
            await until_blocked(db, db2)
    (added,) = calls.rows["added"]
    assert (added["key"], added["attempts"], added["is_available"]) == ("k", 0, True)
    assert added["id"] != old["id"]
    running = await db.fetchrow("select * from graphile_worker._private_jobs where id = $1", old["id"])
    if statement == CLAIM:
        assert running is not None
        assert (running["key"], running["attempts"], running["locked_by"]) == (None, 25, "pool-1")
    else:
        assert running is None


async def test_only_the_claimed_of_many_go_round_again(db: asyncpg.Connection, db2: asyncpg.Connection) -> None:
    await adding(db, "j", "k", "l")()
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await db.execute(CLAIM)
            group.start_soon(calls.run, "added", adding(db2, "l", "k", "m", "j"))
            await until_blocked(db, db2)
    assert sorted((row["key"], row["revision"]) for row in calls.rows["added"]) == [
        ("j", 1),
        ("k", 0),
        ("l", 1),
        ("m", 0),
    ]


async def test_removal_decides_after_the_claim(db: asyncpg.Connection, db2: asyncpg.Connection) -> None:
    """A job that was claimed while remove_job waited must not be deleted under its worker."""
    (old,) = await adding(db, "k")()
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await db.execute(CLAIM)
            group.start_soon(calls.run, "removed", removing(db2, "k"))
            await until_blocked(db, db2)
    (removed,) = calls.rows["removed"]
    assert (removed["id"], removed["key"], removed["attempts"]) == (old["id"], None, 25)
    assert await db.fetchrow("select * from graphile_worker._private_jobs") == removed


async def test_removal_finds_the_row_that_took_the_key(db: asyncpg.Connection, db2: asyncpg.Connection) -> None:
    (old,) = await adding(db, "k")()
    await db.execute(CLAIM)
    calls = Calls()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, db.transaction():
            await calls.run("added", adding(db, "k"))
            group.start_soon(calls.run, "removed", removing(db2, "k"))
            await until_blocked(db, db2)
    (removed,) = calls.rows["removed"]
    assert removed["id"] == calls.rows["added"][0]["id"]
    assert [row["id"] for row in await db.fetch("select id from graphile_worker._private_jobs")] == [old["id"]]


async def test_repeatable_read_fails_cleanly(db: asyncpg.Connection, db2: asyncpg.Connection) -> None:
    """A caller with an older snapshot gets 40001, which means: try the transaction again."""
    async with db.transaction(isolation="repeatable_read"):
        await db.fetch("select from graphile_worker._private_jobs")
        await adding(db2, "k")()
        with pytest.raises(asyncpg.SerializationError):
            async with db.transaction():
                await adding(db, "k")()
