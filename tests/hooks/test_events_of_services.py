"""What the services of a worker tell: recovery, sweeps, stale locks, the listener, outages, cron, pauses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    CronItem,
    CronJobsScheduled,
    CronTick,
    DatabaseFault,
    DatabaseFaultOver,
    JobsRecovered,
    ListenerLost,
    ListenerUp,
    LockLost,
    Observer,
    OutcomesWritten,
    PauseSeen,
    Runner,
    RunnerSettings,
    Snooze,
    Snoozed,
    StaleLocksFreed,
    Swept,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
)
from gw_sqla.admin import Pausing
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.hooks.events import METHODS
from gw_sqla.hooks.observers import Observers
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.cron_scheduler import CronScheduler
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps
from tests.hooks.conftest import AddJob
from tests.support.clock import ManualClock
from tests.support.pools import register, take_all
from tests.support.server import execute

pytestmark = pytest.mark.anyio

E = TypeVar("E")
Sessions = async_sessionmaker[AsyncSession]

NOON = datetime(2030, 5, 17, 12, 0, tzinfo=UTC)
KILL = """select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and query like 'LISTEN%'"""


class Told(Observer):
    """Keeps all events, and waits for some."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._changed = anyio.Event()
        for name in set(METHODS.values()):
            setattr(self, name, self._keep)

    async def _keep(self, event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(60):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def note(tasks: TaskRegistry) -> None:
    @tasks.task("note")
    async def note() -> None: ...


async def test_the_jobs_of_a_dead_worker(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, told: Told
) -> None:
    first = await add_job("note")
    last = await add_job("note", max_attempts=1)
    await register(sessions, "pool-dead", silent_for=timedelta(seconds=61))
    await take_all(sessions, "pool-dead")
    await Runner(engine, tasks, RunnerSettings(recovery_delay=timedelta(0)), observers=[told]).run_once()
    [recovered] = told.of(JobsRecovered)
    assert "pool-dead" in recovered.worker
    assert (set(recovered.job_ids), recovered.final_ids) == ({first.id, last.id}, (last.id,))
    assert told.of(Swept)[0].workers == 1
    assert told.of(Swept)[0].seconds > 0


async def test_locks_of_over_four_hours(engine: AsyncEngine, sessions: Sessions, add_job: AddJob, told: Told) -> None:
    await add_job("note", queue_name="q")
    await take_all(sessions, "pool-of-node", held_for=timedelta(hours=5))
    observers = Observers([told])
    sweeps = Sweeps(engine, DEFAULT_SCHEMA, RustWorkers(DEFAULT_SCHEMA))
    recovery = Recovery(
        sweeps,
        interval=timedelta(hours=1),
        delay=timedelta(0),
        on_unlocked=lambda: None,
        look_within=0,
        observers=observers,
    )
    async with observers.delivering():
        await recovery.sweep()
    [freed] = told.of(StaleLocksFreed)
    assert (freed.owners, freed.jobs, freed.queues) == (("pool-of-node",), 1, 1)


async def test_the_listener_is_lost_and_comes_again(
    engine: AsyncEngine, tasks: TaskRegistry, database: str, told: Told
) -> None:
    async with Runner(engine, tasks, observers=[told]):
        await told.until(lambda: told.of(ListenerUp))
        await call_asyncio(execute, database, KILL)
        await told.until(lambda: len(told.of(ListenerUp)) == 2)
    [lost] = told.of(ListenerLost)
    assert "the connection was closed" in lost.reason
    first, again = told.of(ListenerUp)
    assert first.faults == 0 < again.faults
    [fault], [over] = told.of(DatabaseFault), told.of(DatabaseFaultOver)
    assert fault.doing == over.doing == "listening for new jobs"
    assert (fault.reason, over.faults) == (lost.reason, again.faults)
    assert over.seconds > 0
    assert lost.at <= again.at


async def test_the_minutes_of_a_crontab(engine: AsyncEngine, told: Told) -> None:
    observers = Observers([told])
    clock = ManualClock(NOON + timedelta(seconds=10))
    items = [CronItem("a", "* * * * *", fill=timedelta(minutes=2)), CronItem("b", "1 12 * * *")]
    known = KnownCrontabs(engine, DEFAULT_SCHEMA)
    await known.make_known(["a"], NOON - timedelta(minutes=2))
    await known.disconnect()
    async with observers.delivering(), anyio.create_task_group() as group:
        group.start_soon(CronScheduler(known, items, clock, timedelta(hours=1), observers).run)
        await clock.until_asleep()
        clock.advance(timedelta(seconds=55))
        await clock.until_asleep()
        group.cancel_scope.cancel()
    scheduled = [(event.minute.minute, event.identifiers, event.backfilled) for event in told.of(CronJobsScheduled)]
    assert scheduled[-1] == (1, ("a", "b"), False)
    assert all(identifiers == ("a",) and backfilled for _, identifiers, backfilled in scheduled[:-1])
    assert len(scheduled) > 1
    [tick] = told.of(CronTick)
    assert (tick.minute, tick.items, tick.late_seconds) == (NOON + timedelta(minutes=1), 2, 5.0)


async def test_what_is_paused(engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, told: Told) -> None:
    async with sessions.begin() as session:
        await Pausing().pause(session, everything=True)
    async with Runner(engine, tasks, observers=[told]):
        await told.until(lambda: told.of(PauseSeen))
    [seen] = told.of(PauseSeen)
    assert (seen.pause.kind, seen.is_over) == ("everything", False)
    assert seen.at.tzinfo is UTC


async def test_an_outcome_that_is_not_written_and_one_that_is_snoozed(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, told: Told
) -> None:
    @tasks.task("lose")
    async def lose() -> None:
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker._private_jobs where priority = 7"))

    @tasks.task("snooze")
    async def snooze() -> None:
        raise Snooze(timedelta(hours=1))

    await add_job("lose", priority=7)
    await add_job("snooze")
    await Runner(engine, tasks, RunnerSettings(concurrency=1), observers=[told]).run_once()
    [lost] = told.of(LockLost)
    assert lost.outcome.job.task_identifier == "lose"
    [snoozed] = told.of(Snoozed)
    assert (snoozed.snoozes, snoozed.seconds > 0) == (1, True)
    assert sorted((event.count, event.repeats) for event in told.of(OutcomesWritten)) == [(0, 0), (1, 0)]


async def test_writes_that_are_repeated(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, database: str, add_job: AddJob, told: Told
) -> None:
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like {}"

    @tasks.task("kills")
    async def kills() -> None:  # the connection that outcomes are written over
        await call_asyncio(execute, database, kill.format("'%lock_timeout%' and pid <> pg_backend_pid()"))

    await add_job("note")
    await add_job("kills")
    await Runner(engine, tasks, RunnerSettings(concurrency=1), observers=[told]).run_once()
    assert sum(event.count for event in told.of(OutcomesWritten)) == 2
    assert all(event.seconds > 0 for event in told.of(OutcomesWritten))
