"""What is paused is not claimed, by any worker that hears or sees it; jobs stay, and run when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Pause, Pausing
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.pause import PauseSeen
from gw_sqla.worker.claim_cursor import EVERYWHERE
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.pauses import Pauses
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

pausing = Pausing()


class Watch(Recorder):
    """Keeps what it is told of pauses, too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[PauseSeen] = []

    async def pause_seen(self, seen: PauseSeen) -> None:
        self.seen.append(seen)
        self._changed.set()


@pytest.fixture
def noting(tasks: TaskRegistry) -> list[str]:
    """Tasks a and b, which note their payloads here."""
    noted: list[str] = []
    for identifier in ("a", "b"):

        @tasks.task(identifier)
        async def note(payload: str) -> None:
            noted.append(payload)

    return noted


async def pause(sessions: Sessions, **what: Any) -> Pause:
    async with sessions.begin() as session:
        return await pausing.pause(session, **what)


async def resume(sessions: Sessions, **what: Any) -> list[Pause]:
    async with sessions.begin() as session:
        return await pausing.resume(session, **what)


@pytest.mark.parametrize(
    ("what", "run"),
    [
        ({"task": "a"}, ["b", "b in q"]),
        ({"queue_name": "q"}, ["a", "b", "a in r"]),
        ({"everything": True}, []),
        ({"task": "nobody's"}, ["a", "a in q", "a in r", "b", "b in q"]),
        ({"task": "a", "until": datetime.now(UTC) - timedelta(seconds=1)}, ["a", "a in q", "a in r", "b", "b in q"]),
    ],
)
async def test_jobs_stay(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    add_job: AddJob,
    noting: list[str],
    what: dict[str, Any],
    run: list[str],
) -> None:
    for payload in ("a", "a in q", "a in r", "b", "b in q"):
        task, _, queue_name = payload.partition(" in ")
        await add_job(task, payload, queue_name=queue_name or None)
    await pause(sessions, **what)
    counts = await Runner(engine, tasks).run_once()
    assert (sorted(noting), counts) == (sorted(run), RunCounts(len(run), 0))
    async with sessions() as session:
        left = await JobRepository().list_jobs(session)
    assert [(job.attempts, job.state, job.locked_by) for job in left] == [(0, JobState.READY, None)] * (5 - len(run))
    await resume(sessions, everything=True)
    await Runner(engine, tasks).run_once()
    assert sorted(noting) == ["a", "a in q", "a in r", "b", "b in q"]


async def test_a_pause_is_heard_and_so_is_its_end(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, noting: list[str]
) -> None:
    """Without a poll: this worker does not look by itself within the test."""
    watch = Watch()
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[watch]):
        await add_job("a", "before")
        await watch.until(lambda: watch.completed)
        paused = await pause(sessions, task="a", reason="a bad release", paused_by="ada")
        await watch.until(lambda: watch.seen)
        await add_job("a", "paused")
        await add_job("b", "beside")
        await watch.until(lambda: len(watch.completed) == 2)
        assert noting == ["before", "beside"]
        assert await resume(sessions, task="a") == [paused]
        await watch.until(lambda: len(watch.completed) == 3)
    assert noting == ["before", "beside", "paused"]
    assert watch.seen == [PauseSeen(paused, is_over=False), PauseSeen(paused, is_over=True)]


async def test_nothing_is_heard_of_what_was_rolled_back(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, noting: list[str]
) -> None:
    watch = Watch()
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[watch]):
        async with sessions() as session:
            await pausing.pause(session, everything=True)
            await session.rollback()
        await add_job("a", "runs")
        await watch.until(lambda: watch.completed)
    assert watch.seen == []


async def test_a_pause_is_over_by_itself(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, noting: list[str]
) -> None:
    """When its time has come, though nobody says so and no poll is due."""
    until = datetime.now(UTC) + timedelta(seconds=1)
    await pause(sessions, everything=True, until=until)
    await add_job("a", "later")
    watch = Watch()
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[watch]):
        await watch.until(lambda: watch.completed)
        async with sessions() as session:
            began = await session.scalar(text("select clock_timestamp()"))
            assert await pausing.list_pauses(session) == []
    assert began is not None
    assert began >= until
    assert [seen.is_over for seen in watch.seen] == [False, True]


@pytest.mark.parametrize("is_busy", [False, True])
async def test_an_unheard_pause_is_seen_by_the_next_poll(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, noting: list[str], is_busy: bool
) -> None:
    """Also by a worker that always has jobs, and so never waits for a poll."""
    watch = Watch()

    if is_busy:

        @tasks.task("endless")
        async def endless() -> None:
            await add_job(endless)

        await add_job(endless)
    settings = RunnerSettings(concurrency=1, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[watch]):
        async with sessions.begin() as session:
            await session.execute(text("insert into graphile_worker._private_sqla_pauses values ('everything')"))
        await watch.until(lambda: watch.seen)
        await add_job("a", "stays")
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker._private_sqla_pauses"))
        await watch.until(lambda: "stays" in noting and len(watch.seen) == 2)


async def test_without_pauses_the_claim_is_the_same_as_ever(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, noting: list[str]
) -> None:
    """And what is paused is looked at once in an interval, not for each claim."""
    statements: list[str] = []
    connection = WorkerConnection(engine, ends_backends=True)
    store = ClaimStore(connection, "graphile_worker", "pool-1")
    fetch = connection._fetch

    async def noted(statement: Any, parameters: dict[str, Any]) -> Any:
        statements.append("pauses" if "_private_sqla_pauses" in str(statement) else "claim")
        assert "paused_queues" not in str(statement)
        return await fetch(statement, parameters)

    connection._fetch = noted  # type: ignore[method-assign]
    pauses = Pauses(store, Observers([]), interval=3600)
    for _ in range(3):
        if pauses.is_look_due:
            await pauses.look()
        await store.claim(pauses.open_tasks(["a"]), 5, [], EVERYWHERE, pauses.queues)
    pauses.changed()
    assert pauses.is_look_due
    await store.close()
    assert statements == ["pauses", "claim", "claim", "claim"]


async def test_a_pause_is_logged_for_people(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, noting: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    await pause(sessions, task="a", until=datetime(2100, 1, 1, tzinfo=UTC), reason="a bad release", paused_by="ada")
    await Runner(engine, tasks).run_once()
    assert "paused: task 'a' until 2100-01-01T00:00:00+00:00, by ada: a bad release" in caplog.text


async def test_a_worker_without_a_free_slot_waits(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that is due comes with the next claim: nobody spins until there is one."""
    polls: list[float] = []
    enough = anyio.Event()
    wait = Demand.wait

    async def noted(demand: Demand) -> None:
        polls.append(monotonic())
        if len(polls) == 40:
            enough.set()
        await wait(demand)

    monkeypatch.setattr(Demand, "wait", noted)

    @tasks.task("slow")
    async def slow() -> None:
        await enough.wait()

    await add_job(slow)
    settings = RunnerSettings(concurrency=1, poll_interval=timedelta(milliseconds=20))
    async with Runner(engine, tasks, settings):
        await enough.wait()
    assert polls[39] - polls[19] >= 18 * 0.02
