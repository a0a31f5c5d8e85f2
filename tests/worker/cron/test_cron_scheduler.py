"""The scheduler on a real database, with a clock that the test moves: no test waits for a minute."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import CronItem, JobKeyMode
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.cron_scheduler import CronScheduler
from tests.support.clock import ManualClock
from tests.worker.cron.conftest import Fetch, Jobs, MakeKnown

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 5, 17, 12, 0, tzinfo=UTC)


@asynccontextmanager
async def scheduling(
    engine: AsyncEngine, clock: ManualClock, items: Sequence[CronItem], *, workers: int = 1
) -> AsyncIterator[None]:
    """Run schedulers through the block, which begins when all have started and wait."""
    async with anyio.create_task_group() as group:
        for _ in range(workers):
            known = KnownCrontabs(engine, DEFAULT_SCHEMA)
            group.start_soon(CronScheduler(known, items, clock, catch_up=HOUR).run)
        await clock.until_asleep(workers)
        yield
        group.cancel_scope.cancel()


async def test_each_minute_is_scheduled_when_it_comes(engine: AsyncEngine, jobs: Jobs) -> None:
    clock = ManualClock(NOON + timedelta(seconds=30))
    async with scheduling(engine, clock, [CronItem("a", "* * * * *"), CronItem("b", "*/2 * * * *")]):
        assert await jobs() == []
        for _ in range(3):
            clock.advance(MINUTE)
            await clock.until_asleep()
    assert await jobs() == [
        ("a", "2030-05-17T12:01", False),
        ("a", "2030-05-17T12:02", False),
        ("b", "2030-05-17T12:02", False),
        ("a", "2030-05-17T12:03", False),
    ]


async def test_a_start_on_the_minute_schedules_it(engine: AsyncEngine, jobs: Jobs) -> None:
    clock = ManualClock(NOON)
    async with scheduling(engine, clock, [CronItem("a", "0 12 * * *")]):
        assert await jobs() == [("a", "2030-05-17T12:00", False)]


async def test_the_job_is_what_the_item_says(engine: AsyncEngine, fetch: Fetch) -> None:
    item = CronItem(
        "a",
        "* * * * *",
        payload={"n": [1, "ä"]},
        id="mine",
        queue_name="q",
        max_attempts=3,
        job_key="k",
        job_key_mode=JobKeyMode.PRESERVE_RUN_AT,
        priority=-5,
        flags=["f"],
    )
    async with scheduling(engine, ManualClock(NOON), [item, CronItem("b", "* * * * *")]):
        pass
    first, second = await fetch(
        "select * from graphile_worker._private_jobs j join graphile_worker.jobs using (id) order by id"
    )
    assert first["payload"] == '{"n": [1, "\\u00e4"], "_cron": {"ts": "2030-05-17T12:00:00.000Z", "backfilled": false}}'
    expected: dict[str, Any] = {
        "task_identifier": "a",
        "queue_name": "q",
        "max_attempts": 3,
        "key": "k",
        "priority": -5,
    }
    assert {name: first[name] for name in expected} == expected
    assert (first["run_at"], first["flags"]) == (NOON, '{"f": true}')
    assert second["payload"] == '{"_cron": {"ts": "2030-05-17T12:00:00.000Z", "backfilled": false}}'
    defaults: dict[str, Any] = {"queue_name": None, "max_attempts": 25, "key": None, "priority": 0, "flags": None}
    assert {name: second[name] for name in defaults} == defaults
    [known] = await fetch("select * from graphile_worker._private_known_crontabs where identifier = 'mine'")
    assert (known["known_since"], known["last_execution"]) == (NOON, NOON)


async def test_unknown_items_become_known_and_are_not_backfilled(engine: AsyncEngine, fetch: Fetch, jobs: Jobs) -> None:
    now = NOON + timedelta(seconds=30.25)
    async with scheduling(engine, ManualClock(now), [CronItem("a", "* * * * *", fill=HOUR)]):
        assert await jobs() == []
    [known] = await fetch("select * from graphile_worker._private_known_crontabs")
    assert tuple(known) == ("a", now, None)


async def test_backfill_goes_back_to_the_last_execution_or_as_far_as_the_fill(
    engine: AsyncEngine, jobs: Jobs, make_known: MakeKnown
) -> None:
    long_ago = NOON - timedelta(days=9)
    await make_known("last", long_ago, NOON - 3 * MINUTE)
    await make_known("since", NOON - 2 * MINUTE)
    await make_known("fill", long_ago, long_ago)
    await make_known("none", long_ago, long_ago)
    items = [
        CronItem("last", "* * * * *", fill=HOUR),
        CronItem("since", "* * * * *", fill=HOUR),
        CronItem("fill", "* * * * *", fill=MINUTE),
        CronItem("none", "* * * * *"),
    ]
    async with scheduling(engine, ManualClock(NOON + timedelta(seconds=1)), items):
        pass
    assert await jobs() == [
        ("last", "2030-05-17T11:58", True),  # 11:57 is its last execution
        ("since", "2030-05-17T11:58", True),
        ("last", "2030-05-17T11:59", True),
        ("since", "2030-05-17T11:59", True),
        ("last", "2030-05-17T12:00", True),
        ("since", "2030-05-17T12:00", True),
        ("fill", "2030-05-17T12:00", True),
    ]


async def test_any_number_of_schedulers_add_one_job_for_each_minute(
    engine: AsyncEngine, jobs: Jobs, make_known: MakeKnown
) -> None:
    await make_known("b", NOON - HOUR)
    clock = ManualClock(NOON + timedelta(seconds=1))
    items = [CronItem("a", "* * * * *"), CronItem("b", "* * * * *", fill=HOUR)]
    async with scheduling(engine, clock, items, workers=5):
        for _ in range(10):
            clock.advance(MINUTE)
            await clock.until_asleep(5)
    added = await jobs()
    assert len(added) == len(set(added))
    wanted = [NOON + n * MINUTE for n in range(1, 11)]
    assert [ts for task, ts, _ in added if task == "a"] == [f"{time:%Y-%m-%dT%H:%M}" for time in wanted]
    wanted = [NOON - HOUR + n * MINUTE for n in range(1, 71)]  # a second after 11:00 is as far as the fill reaches
    assert [ts for task, ts, _ in added if task == "b"] == [f"{time:%Y-%m-%dT%H:%M}" for time in wanted]


async def test_woken_early_it_schedules_nothing_twice(engine: AsyncEngine, jobs: Jobs) -> None:
    clock = ManualClock(NOON)
    async with scheduling(engine, clock, [CronItem("a", "* * * * *")]):
        for _ in range(3):
            clock.wake_early()
            await clock.until_asleep()
        clock.jump(-timedelta(seconds=20))
        clock.wake_early()
        await clock.until_asleep()
        assert len(await jobs()) == 1
        clock.advance(timedelta(seconds=79))
        await clock.until_asleep()
        assert len(await jobs()) == 1
        clock.advance(timedelta(seconds=1))
        await clock.until_asleep()
    assert [ts for _, ts, _ in await jobs()] == ["2030-05-17T12:00", "2030-05-17T12:01"]


async def test_late_it_catches_up_minute_by_minute(
    engine: AsyncEngine, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gw_sqla.worker.cron_scheduler")
    clock = ManualClock(NOON)
    async with scheduling(engine, clock, [CronItem("a", "*/20 * * * *"), CronItem("b", "30 * * * *")]):
        clock.jump(HOUR)  # the machine slept, or its clock was put forward
        clock.advance(MINUTE)
        await clock.until_asleep()
    assert await jobs() == [
        ("a", "2030-05-17T12:00", False),
        ("a", "2030-05-17T12:20", False),
        ("b", "2030-05-17T12:30", False),
        ("a", "2030-05-17T12:40", False),
        ("a", "2030-05-17T13:00", False),
    ]
    assert "the crontab is 0:41:00 late: the jobs of 2030-05-17 12:20:00+00:00 are added now" in caplog.text


async def test_later_than_the_bound_only_fills_go_back(
    engine: AsyncEngine, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOON)
    items = [CronItem("a", "0 * * * *"), CronItem("b", "30 * * * *", fill=2 * HOUR)]
    async with scheduling(engine, clock, items):
        clock.advance(5 * HOUR)
        await clock.until_asleep()
    assert await jobs() == [
        ("a", "2030-05-17T12:00", False),
        ("b", "2030-05-17T15:30", True),
        ("b", "2030-05-17T16:30", True),
        ("a", "2030-05-17T17:00", False),
    ]
    assert "the crontab is 4:30:00 late: it goes on from 2030-05-17 17:00:00+00:00" in caplog.text


async def test_a_clock_that_was_put_back_adds_nothing_twice_and_goes_on(
    engine: AsyncEngine, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOON)
    async with scheduling(engine, clock, [CronItem("a", "*/30 * * * *"), CronItem("late", "45 * * * *")]):
        clock.jump(-HOUR)
        clock.advance(MINUTE)
        await clock.until_asleep()
        for _ in range(90):
            clock.advance(MINUTE)
            await clock.until_asleep()
    assert await jobs() == [
        ("a", "2030-05-17T12:00", False),
        ("late", "2030-05-17T11:45", False),  # never scheduled before: the machine's clock was wrong at the start
        ("a", "2030-05-17T12:30", False),
    ]
    assert "the clock was put back by 0:59:00: the crontab goes on from 2030-05-17 11:01:00+00:00" in caplog.text


async def test_items_that_never_fire_leave_it_waiting(engine: AsyncEngine, fetch: Fetch) -> None:
    known = KnownCrontabs(engine, DEFAULT_SCHEMA)
    scheduler = CronScheduler(known, [CronItem("a", "0 0 30 2 *")], ManualClock(NOON), catch_up=HOUR)
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        with anyio.fail_after(20):
            while not await fetch("select from graphile_worker._private_known_crontabs"):  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("fill", [timedelta(0), HOUR])
async def test_what_is_due_is_found_beside_the_event_loop(
    engine: AsyncEngine, jobs: Jobs, make_known: MakeKnown, monkeypatch: pytest.MonkeyPatch, fill: timedelta
) -> None:
    """For thousands of items it takes seconds: here it goes on until the event loop has let it."""
    asked, let_go = threading.Event(), threading.Event()
    fires = CronItem.fires

    def slowly(item: CronItem, start: datetime) -> Iterator[datetime]:
        asked.set()
        assert let_go.wait(20), "the event loop is blocked"
        yield from fires(item, start)

    monkeypatch.setattr(CronItem, "fires", slowly)
    await make_known("a", since=NOON - HOUR, last=NOON - MINUTE)
    clock = ManualClock(NOON)
    async with anyio.create_task_group() as group:
        known = KnownCrontabs(engine, DEFAULT_SCHEMA)
        group.start_soon(CronScheduler(known, [CronItem("a", "* * * * *", fill=fill)], clock, catch_up=HOUR).run)
        while not asked.is_set():  # noqa: ASYNC110 - by a thread
            await anyio.sleep(0.01)
        let_go.set()
        await clock.until_asleep(1)
        group.cancel_scope.cancel()
    assert await jobs() == [("a", "2030-05-17T12:00", False)]
