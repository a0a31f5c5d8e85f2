"""Faults of the database under the scheduler: it waits, starts anew and loses no minute; and it stops when told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, CronItem, async_sessionmaker
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database import worker_connection
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.cron_scheduler import CronScheduler
from tests.support.clock import ManualClock
from tests.worker.cron.conftest import Fetch, Jobs

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 5, 17, 12, 0, tzinfo=UTC)

ITEMS = [CronItem("a", "*/10 * * * *"), CronItem("filled", "*/10 * * * *", fill=timedelta(days=1))]

LOCK = text("lock table graphile_worker._private_known_crontabs in access exclusive mode")


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - some conditions have no event
            await anyio.sleep(0.01)


@asynccontextmanager
async def scheduling(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        scheduler = CronScheduler(KnownCrontabs(engine, DEFAULT_SCHEMA), ITEMS, clock, catch_up=HOUR)
        group.start_soon(scheduler.run)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def broken(fetch: Fetch) -> AsyncIterator[None]:
    """Let every statement about known crontabs fail in the block."""
    await fetch("alter table graphile_worker._private_known_crontabs rename to away")
    try:
        yield
    finally:
        await fetch("alter table graphile_worker.away rename to _private_known_crontabs")


async def test_after_an_outage_even_items_without_a_fill_have_all_their_minutes(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOON - MINUTE)
    async with scheduling(engine, clock):
        await clock.until_asleep()
        async with broken(fetch):
            clock.advance(MINUTE)
            await until(lambda: "scheduling the crontab failed, will be tried again" in caplog.text)
            clock.advance(21 * MINUTE)
        await clock.until_asleep()
    assert "scheduling the crontab works again" in caplog.text
    assert [(task, ts[-5:]) for task, ts, _ in await jobs()] == [
        ("a", "12:00"), ("filled", "12:00"), ("a", "12:10"), ("filled", "12:10"), ("a", "12:20"), ("filled", "12:20"),
    ]  # fmt: skip


async def test_after_an_outage_beyond_the_bound_only_fills_go_back(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOON - MINUTE)
    async with scheduling(engine, clock):
        await clock.until_asleep()
        async with broken(fetch):
            clock.advance(MINUTE)
            await until(lambda: "scheduling the crontab failed" in caplog.text)
            clock.advance(HOUR + 5 * MINUTE)
        await clock.until_asleep()
        clock.advance(5 * MINUTE)
        await clock.until_asleep()
    assert "the crontab is 1:05:00 late" in caplog.text
    times = [(task, ts[-5:], backfilled) for task, ts, backfilled in await jobs()]
    assert times == [
        *(("filled", f"{time:%H:%M}", True) for time in (NOON + n * 10 * MINUTE for n in range(7))),
        ("a", "13:10", False),
        ("filled", "13:10", False),
    ]


async def test_after_a_fault_it_goes_on_where_it_was_not_where_it_began(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first minute is by then further back than the bound, which is about what is left to do."""
    clock = ManualClock(NOON - 3 * HOUR)
    async with scheduling(engine, clock):
        await clock.until_asleep()
        for _ in range(18 * 10 - 1):
            clock.advance(MINUTE)
            await clock.until_asleep()
        async with broken(fetch):
            clock.advance(MINUTE)
            await until(lambda: "scheduling the crontab failed" in caplog.text)
        await clock.until_asleep()
    assert " late" not in caplog.text
    assert (await jobs())[-2:] == [("a", "2030-05-17T12:00", False), ("filled", "2030-05-17T12:00", False)]


@pytest.mark.parametrize("gone", ["function graphile_worker.add_job", "table graphile_worker._private_job_queues"])
async def test_a_fault_that_stays_is_said_once(
    gone: str,
    engine: AsyncEngine,
    fetch: Fetch,
    jobs: Jobs,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What makes items known works all the time, what adds jobs does not: no outage ends in between.

    Nor is it put down to the items, however deep inside add_job something is gone.
    """
    tries = 0
    schedule = KnownCrontabs.schedule

    async def counted(known: KnownCrontabs, *arguments: Any, **options: Any) -> list[str]:
        nonlocal tries
        tries += 1
        return await schedule(known, *arguments, **options)

    monkeypatch.setattr(KnownCrontabs, "schedule", counted)
    clock = ManualClock(NOON)
    async with AsyncExitStack() as stack:
        kind, name = gone.split()
        await fetch(f"alter {kind} {name} rename to away")
        try:
            await stack.enter_async_context(scheduling(engine, clock))
            await until(lambda: tries == 4)
        finally:
            await fetch(f"alter {kind} graphile_worker.away rename to {name.partition('.')[2]}")
        await clock.until_asleep()
    assert caplog.text.count("scheduling the crontab failed") == 1
    assert caplog.text.count("scheduling the crontab works again") == 1
    assert "is refused" not in caplog.text
    assert len(await jobs()) == 2


async def test_an_outage_at_the_start_is_waited_out(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOON)
    async with AsyncExitStack() as stack:
        async with broken(fetch):
            await stack.enter_async_context(scheduling(engine, clock))
            await until(lambda: "scheduling the crontab failed" in caplog.text)
        await clock.until_asleep()
    assert len(await jobs()) == 2


async def test_a_statement_that_waits_too_long_is_given_up_and_tried_again(
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
    jobs: Jobs,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_connection, "STATEMENT_SECONDS", 0.2)
    clock = ManualClock(NOON)
    async with AsyncExitStack() as stack:
        async with sessions.begin() as session:
            await session.execute(LOCK)
            await stack.enter_async_context(scheduling(engine, clock))
            await until(lambda: "tried again until it works: TimeoutError" in caplog.text)
            monkeypatch.setattr(worker_connection, "STATEMENT_SECONDS", 60)
        await clock.until_asleep()
    assert len(await jobs()) == 2


async def test_it_stops_in_the_middle_of_a_statement(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], fetch: Fetch, jobs: Jobs
) -> None:
    async with sessions.begin() as session:
        await session.execute(LOCK)
        with anyio.fail_after(30):
            async with scheduling(engine, ManualClock(NOON)):
                while not await fetch("select from pg_locks where not granted"):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
    assert await jobs() == []


REFUSE_A = """create function refuse() returns trigger language plpgsql as $$ begin
if new.task_id = (select id from graphile_worker._private_tasks where identifier = 'a')
then raise exception 'not now'; end if; return new; end $$"""
REFUSE = "create trigger refuse before insert on graphile_worker._private_jobs for each row execute function refuse()"


async def test_an_item_whose_job_is_refused_holds_up_no_other(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """It has its minutes, in their order, when its job is refused no more."""
    await fetch(REFUSE_A)
    await fetch(REFUSE)
    clock = ManualClock(NOON - MINUTE)
    async with scheduling(engine, clock):
        await clock.until_asleep()
        for _ in range(2):
            clock.advance(10 * MINUTE)
            await clock.until_asleep()
        assert await jobs() == [("filled", "2030-05-17T12:00", False), ("filled", "2030-05-17T12:10", False)]
        await fetch("drop function refuse cascade")
        clock.advance(timedelta(seconds=6))
        await clock.until_asleep()
        assert (await jobs())[2:] == [("a", "2030-05-17T12:00", False), ("a", "2030-05-17T12:10", False)]
    assert (
        caplog.text.count("is refused, and is tried again: RaiseError: SQLSTATE P0001, function public.refuse line 3")
        == 1
    )


async def test_a_job_that_is_refused_until_it_is_too_late_is_left_out(
    engine: AsyncEngine, fetch: Fetch, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an outage, by the same bound; a younger one of the item is added."""
    await fetch(REFUSE_A)
    await fetch(REFUSE)
    clock = ManualClock(NOON - MINUTE)
    async with scheduling(engine, clock):
        await clock.until_asleep()
        clock.advance(MINUTE)
        await clock.until_asleep()
        for _ in range(6):
            clock.advance(10 * MINUTE)
            await clock.until_asleep()
        assert {task for task, _, _ in await jobs()} == {"filled"}
        clock.advance(MINUTE)
        await clock.until_asleep()
        assert "the job of 2030-05-17 12:00:00+00:00 was refused until it was too late" in caplog.text
        await fetch("drop function refuse cascade")
        clock.advance(timedelta(seconds=6))
        await clock.until_asleep()
    assert [ts[-5:] for task, ts, _ in await jobs() if task == "a"] == [f"12:{n}0" for n in range(1, 6)] + ["13:00"]
