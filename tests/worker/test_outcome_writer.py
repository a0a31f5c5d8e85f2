"""An outcome that cannot be written, for a while or for good, holds up nothing else."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    JobState,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.worker.put_aside import UNWRITABLE
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.refusals import NOT_DELETED, NOT_ENDED, trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OFTEN = RunnerSettings(
    concurrency=2, poll_interval=timedelta(milliseconds=50), heartbeat_interval=timedelta(milliseconds=50)
)
WAITS = "its outcome waits"


@pytest.mark.parametrize(
    "change",
    [
        "select from graphile_worker._private_jobs where priority = 7 for update",
        "select from graphile_worker._private_jobs where priority = 7 for key share",
        "update graphile_worker._private_jobs set priority = 7 where priority = 7",
        "select graphile_worker.remove_job('k')",
        "select graphile_worker.add_job('hold', job_key => 'k', run_at => '2100-01-01')",
        "select from graphile_worker._private_job_queues for update",
    ],
)
@pytest.mark.parametrize("fails", [False, True])
async def test_an_open_transaction_on_a_running_job_delays_that_job_only(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    change: str,
    fails: bool,
) -> None:
    release = anyio.Event()

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()
        if fails:
            raise ValueError("broken")

    @tasks.task("note")
    async def note() -> None: ...

    ended = recorder.failed if fails else recorder.completed
    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        held = await add_job(hold, job_key="k", queue_name="q", priority=7, max_attempts=1)
        await recorder.until(lambda: recorder.started)
        async with sessions() as session:
            await session.execute(text(change))
            release.set()
            for _ in range(10):
                await add_job(note)
            await recorder.until(lambda: len(recorder.completed) == 10)
            waits = "for key share" not in change or not fails  # a failure leaves the job's keys alone
            if waits:
                await log.until(lambda: log.with_text(WAITS))
                assert not any(outcome.job.id == held.id for outcome in ended)
            await session.commit()
        await recorder.until(lambda: any(outcome.job.id == held.id for outcome in ended))
    assert len(log.with_text(WAITS)) == waits
    assert recorder.lost == []
    assert await locks(sessions) == (0, 0)


@pytest.mark.parametrize("concurrency", [1, 24])
async def test_a_job_that_cannot_be_deleted_stops_nothing_else(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    concurrency: int,
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    settings = RunnerSettings(concurrency=concurrency, poll_interval=timedelta(milliseconds=50))
    kept = await add_job(note, priority=7, queue_name="q")
    for _ in range(50):
        await add_job(note)
    async with Runner(engine, tasks, settings, observers=[recorder]):
        async with trigger(sessions, NOT_DELETED):
            await recorder.until(lambda: len(recorder.completed) == 50)
            await log.until(lambda: log.with_text(WAITS))
        await recorder.until(lambda: len(recorder.completed) == 51)
    assert recorder.completed[-1].job.id == kept.id
    assert len(recorder.started) == 51
    assert "function public.refuse line 2" in log.with_text(WAITS)[0]
    assert len(log.with_text(WAITS)) == 1


async def test_a_completed_job_that_is_never_deleted_fails_in_our_words(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For good: it must not run again."""
    monkeypatch.setattr("gw_sqla.worker.put_aside._PATIENCE", 0.2)

    @tasks.task("note")
    async def note() -> None: ...

    kept = await add_job(note, priority=7, queue_name="q")
    async with trigger(sessions, NOT_DELETED), Runner(engine, tasks, OFTEN, observers=[recorder]):
        await recorder.until(lambda: recorder.failed)
    async with sessions() as session:
        job = await JobRepository().get_job(session, kept.id)
    assert job is not None
    assert (job.state, job.last_error) == (
        JobState.FAILED,
        f"{UNWRITABLE}: RaiseError: SQLSTATE P0001, function public.refuse line 2",
    )
    assert await locks(sessions) == (0, 0)


async def test_what_is_refused_in_every_way_is_reported_and_given_up(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gw_sqla.worker.put_aside._PATIENCE", 0.2)

    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note, priority=7)
    async with trigger(sessions, NOT_ENDED), Runner(engine, tasks, OFTEN, observers=[recorder]):
        await recorder.until(lambda: recorder.lost)
        await add_job(note)
        await recorder.until(lambda: recorder.completed)
    assert len(log.with_text("what became of it cannot be written")) == 1


async def test_a_schema_that_is_gone_for_a_while_is_waited_for(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long: it says nothing about the job."""
    monkeypatch.setattr("gw_sqla.worker.put_aside._PATIENCE", 0.0)
    release = anyio.Event()

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(hold)
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(text("alter schema graphile_worker rename to away"))
        release.set()
        await log.until(lambda: log.with_text(WAITS))
        async with sessions.begin() as session:
            await session.execute(text("alter schema away rename to graphile_worker"))
        await recorder.until(lambda: recorder.completed)
    assert recorder.lost == recorder.failed == []


async def test_a_handler_that_works_on_after_its_own_completion_is_let_work(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """The heartbeats meanwhile do not find the job, as its own transaction has deleted it."""

    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        async with ctx.session() as session:
            await ctx.complete(session)
        async with sessions() as session:
            beats = text("select last_heartbeat_at from graphile_worker._private_sqla_workers")
            first = seen = await session.scalar(beats)
            while seen == first:
                await session.rollback()
                await anyio.sleep(0.01)
                seen = await session.scalar(beats)

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(work, queue_name="q")
        await recorder.until(lambda: recorder.completed)
    assert recorder.lost == recorder.failed == []


@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("when", ["stop", "prefetch_ttl"])
async def test_a_prefetched_job_that_was_removed_does_not_run_when_it_is_returned(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    how: str,
    when: str,
) -> None:
    release = anyio.Event()
    texts: list[str] = []

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    @tasks.task("note")
    async def note(payload: str) -> None:
        texts.append(payload)

    ttl = timedelta(milliseconds=300) if when == "prefetch_ttl" else timedelta(minutes=1)
    await add_job(hold, priority=-1)
    await add_job(note, "old", job_key="k", max_attempts=3)
    settings = RunnerSettings(concurrency=1, prefetch=1, prefetch_ttl=ttl)
    async with Runner(engine, tasks, settings, observers=[recorder]) as runner:
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            if how == "removed":
                await JobRepository().remove_job(session, "k")
            else:
                await JobRepository().add_job(session, note, "new", job_key="k")
        if when == "stop":
            runner.stop()
        else:
            await recorder.until(lambda: recorder.returned)
        release.set()
    await Runner(engine, tasks).run_once()
    assert texts == ([] if how == "removed" else ["new"])


async def test_the_queue_of_a_running_job_that_is_deleted_goes_on(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """When its handler has ended: a queue runs one job at a time."""
    running = 0

    @tasks.task("work")
    async def work(payload: bool) -> None:
        nonlocal running
        assert running == 0
        running += 1
        try:
            if payload:
                await anyio.sleep_forever()
        finally:
            running -= 1

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        first = await add_job(work, True, queue_name="q")
        await add_job(work, False, queue_name="q")
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(text(f"delete from graphile_worker._private_jobs where id = {first.id}"))
        await recorder.until(lambda: recorder.completed)
    assert len(recorder.lost) == 1
    assert recorder.failed == []
    assert await locks(sessions) == (0, 0)


async def test_a_prefetched_job_that_is_claimed_anew_runs_once(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """Unlocked by an administrator while it waits: the older claim of it is dropped, and the newer one runs."""
    release = anyio.Event()
    ran: list[int] = []

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    @tasks.task("note")
    async def note(ctx: JobContext) -> None:
        ran.append(ctx.job.attempts)

    settings = RunnerSettings(concurrency=1, prefetch=4, poll_interval=timedelta(milliseconds=50))
    await add_job(hold, priority=-1)
    job = await add_job(note)
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            unlock = "update graphile_worker._private_jobs set locked_at = null, locked_by = null where id = :id"
            await session.execute(text(unlock), {"id": job.id})
        await recorder.until(lambda: recorder.lost)
        release.set()
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert ran == [2]
    assert recorder.failed == []
