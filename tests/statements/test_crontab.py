"""The statements about known crontabs, on PostgreSQL: one job for each item and minute, or none and an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import anyio
import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.known_crontabs import KnownCrontab, KnownCrontabs
from gw_sqla.types import DEFAULT_SCHEMA

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)
A, B = CronItem("a", "* * * * *"), CronItem("b", "* * * * *")

COUNT = "select count(*) from graphile_worker._private_jobs"


@pytest.fixture
async def known(engine: AsyncEngine, anyio_backend: str) -> AsyncIterator[KnownCrontabs]:
    opened = KnownCrontabs(engine, DEFAULT_SCHEMA)
    yield opened
    await opened.disconnect()


async def test_a_minute_is_scheduled_once_and_never_an_earlier_one(
    known: KnownCrontabs, db: asyncpg.Connection
) -> None:
    assert await known.schedule(NOON, [B, A], backfilled=False) == ["b", "a"]
    assert await known.schedule(NOON, [A, B], backfilled=False) == []
    assert await known.schedule(NOON - MINUTE, [A], backfilled=True) == []
    assert await known.schedule(NOON + MINUTE, [A], backfilled=False) == ["a"]
    assert await known.schedule(NOON + MINUTE, [A, B], backfilled=False) == ["b"]
    assert await db.fetchval(COUNT) == 4
    assert await known.all() == [
        KnownCrontab("a", NOON, NOON + MINUTE),
        KnownCrontab("b", NOON, NOON + MINUTE),
    ]


async def test_known_since_stays(known: KnownCrontabs) -> None:
    assert await known.make_known(["b", "a"], NOON) == {}
    assert await known.make_known(["a", "c"], NOON + MINUTE) == {"a": NOON}
    await known.schedule(NOON + 9 * MINUTE, [A], backfilled=False)
    assert await known.make_known(["a", "b", "c"], NOON) == {"a": NOON + 9 * MINUTE, "b": NOON, "c": NOON + MINUTE}
    assert await known.all() == [
        KnownCrontab("a", NOON, NOON + 9 * MINUTE),
        KnownCrontab("b", NOON, None),
        KnownCrontab("c", NOON + MINUTE, None),
    ]


async def test_times_beyond_pythons(known: KnownCrontabs, db: asyncpg.Connection) -> None:
    await db.execute("insert into graphile_worker._private_known_crontabs values ('a', '-infinity', 'infinity')")
    [entry] = await known.all()
    assert (entry.known_since.year, entry.last_execution and entry.last_execution.year) == (1, 9999)
    assert (await known.make_known(["a"], NOON))["a"].year == 9999


async def test_rivals_share_the_minutes(engine: AsyncEngine, db: asyncpg.Connection) -> None:
    won: list[tuple[datetime, str]] = []

    async def work(items: list[CronItem]) -> None:
        mine = KnownCrontabs(engine, DEFAULT_SCHEMA)
        for number in range(50):
            minute = NOON + number * MINUTE
            won.extend((minute, name) for name in await mine.schedule(minute, items, backfilled=False))
        await mine.disconnect()

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(work, [[B, A], [A], [B]][number % 3])
    assert sorted(won) == [(NOON + number * MINUTE, name) for number in range(50) for name in "ab"]
    rows = await db.fetch("select payload #>> '{_cron,ts}' as ts, run_at from graphile_worker._private_jobs")
    assert len(rows) == 100
    assert all(row["ts"] == f"{row['run_at']:%Y-%m-%dT%H:%M:00.000Z}" for row in rows)


async def test_a_job_that_graphile_workers_function_leaves_out_is_not_lost(
    known: KnownCrontabs, db: asyncpg.Connection
) -> None:
    """Its add_job returns a row of nulls when the job of the key is claimed under it."""
    arguments = "text, json, text, timestamptz, int, text, int, text[], text"
    async with db.transaction():
        await db.execute(f"alter function graphile_worker.add_job({arguments}) rename to ours")
        await db.execute(
            f"create function graphile_worker.add_job({arguments}) returns graphile_worker._private_jobs "
            "language sql as 'select null::graphile_worker._private_jobs'"
        )
    try:
        with pytest.raises(asyncpg.PostgresError, match='"add_job left the job of a out"'):
            await known.schedule(NOON, [A, B], backfilled=False)
    finally:
        await db.execute(f"drop function graphile_worker.add_job({arguments})")
        await db.execute(f"alter function graphile_worker.ours({arguments}) rename to add_job")
    assert await known.schedule(NOON, [A, B], backfilled=False) == ["a", "b"]
