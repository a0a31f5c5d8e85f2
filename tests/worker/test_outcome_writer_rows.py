"""Whether a fault is of one row or of everything: what its code says, and what is tried when the code does not tell."""

from __future__ import annotations

from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobState, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Completed
from gw_sqla.worker import finisher, put_aside
from gw_sqla.worker.claim_cursor import EVERYWHERE
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.outcome_store import OUTCOME_SETTINGS, OutcomeStore
from tests.support.log import Log
from tests.support.pools import locks, registered
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.refusals import NOT_DELETED, NOT_ENDED, trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OFTEN = RunnerSettings(
    concurrency=2,
    poll_interval=timedelta(milliseconds=20),
    heartbeat_interval=timedelta(milliseconds=300),
    flush_timeout=timedelta(milliseconds=300),
)
WAITS = "its outcome waits"
LOCKED_BEHIND = "if old.priority = 7 and tg_op = 'DELETE' then perform from public.held for update; end if;"


def refusing(code: str) -> str:
    return NOT_DELETED.replace("audit'", f"audit' using errcode = '{code}'")


@pytest.mark.parametrize("code", ["P0001", "55000", "57014", "40001", "08001", "08003", "57P03", "42883", "XX000"])
async def test_whatever_code_a_row_is_refused_with_others_are_written(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
) -> None:
    """And, as they are, the row fails in our words at last: its job is not to run again."""
    monkeypatch.setattr(put_aside, "_PATIENCE", 0.2)

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, OFTEN, observers=[recorder]), trigger(sessions, refusing(code)):
        kept = await add_job(note, priority=7)
        for count in range(1, 4):
            for _ in range(4):
                await add_job(note)
            await recorder.until(lambda count=count: len(recorder.completed) == 4 * count)  # type: ignore[misc]
        while not recorder.failed:
            await add_job(note)
            await anyio.sleep(0.01)
    assert [outcome.job.id for outcome in recorder.failed] == [kept.id]
    assert recorder.failed[0].message.startswith(f"{put_aside.UNWRITABLE}: ")
    assert recorder.failed[0].message.endswith(f": SQLSTATE {code}, function public.refuse line 2")
    async with sessions() as session:
        job = await JobRepository().get_job(session, kept.id)
    assert job is not None
    assert (job.state, recorder.lost) == (JobState.FAILED, [])


async def test_a_row_that_waits_for_a_lock_elsewhere(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """No skipping of locked rows helps; it is waited for without an end, and in turns with the others."""

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        await session.execute(text("create table held (id int)"))
        await session.execute(text("insert into held values (1)"))
    try:
        async with trigger(sessions, LOCKED_BEHIND), Runner(engine, tasks, OFTEN, observers=[recorder]):
            async with sessions() as session:
                await session.execute(text("select from held for update"))
                kept = await add_job(note, priority=7)
                for _ in range(20):
                    await add_job(note)
                await recorder.until(lambda: len(recorder.completed) == 20)
                await log.until(lambda: log.with_text("has locked what it depends on"))
                await session.rollback()
            await recorder.until(lambda: len(recorder.completed) == 21)
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop table held"))
    assert recorder.completed[-1].job.id == kept.id
    assert (recorder.failed, recorder.lost) == ([], [])


async def test_what_is_refused_alone_may_be_refused_to_all(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing else is written that would say otherwise: it is reported, and tried on."""
    monkeypatch.setattr(put_aside, "_PATIENCE", 0.0)

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, OFTEN, observers=[recorder]):
        async with trigger(sessions, refusing("55000")):
            await add_job(note, priority=7)
            await log.until(lambda: log.with_text("what became of it cannot be written so far"))
        await recorder.until(lambda: recorder.completed)
    assert (recorder.failed, recorder.lost) == ([], [])


async def test_a_run_that_was_given_up_keeps_its_lock(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not run again here, nor given its attempt back; the worker's row stays, by which it is recovered."""
    monkeypatch.setattr(put_aside, "_PATIENCE", 0.0)

    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("x")

    @tasks.task("note")
    async def note() -> None: ...

    async with trigger(sessions, NOT_ENDED):
        async with Runner(engine, tasks, OFTEN, observers=[recorder]):
            await add_job(fail, priority=7)
            await recorder.until(lambda: recorder.lost)
            for _ in range(3):
                await add_job(note)
            await recorder.until(lambda: len(recorder.completed) == 3)
            async with sessions.begin() as session:  # it could be unlocked now, as what nobody knows is at the end
                await session.execute(text("drop trigger refuse on graphile_worker._private_jobs"))
        assert len(recorder.started) == 4
        assert await locks(sessions) == (1, 0)
        assert len(await registered(sessions)) == 1


async def test_a_failure_whose_text_is_refused_for_ever_waits_for_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("x")

    no_such_text = "if new.last_error like 'ValueError%' then raise exception 'no' using errcode = '22000'; end if;"
    async with trigger(sessions, no_such_text), Runner(engine, tasks, OFTEN, observers=[recorder]):
        await add_job(fail)
        await recorder.until(lambda: recorder.failed)
    assert recorder.failed[0].message.startswith(f"{put_aside.UNWRITABLE}: ")
    assert not recorder.failed[0].is_final


async def test_so_many_may_wait(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all are refused, no more jobs are claimed than can be kept."""
    monkeypatch.setattr(finisher, "_MOST_WAITING", 3)
    for _ in range(3):
        await add_job("note", priority=7)
    claims = ClaimStore(WorkerConnection(engine, ends_backends=True), "graphile_worker", "pool-test")
    store = OutcomeStore(WorkerConnection(engine, OUTCOME_SETTINGS), "graphile_worker", "pool-test", claims)
    finishing = finisher.Finisher(
        store, KnownRuns(), Observers([]), most_unwritten=100, on_written=lambda _: None, on_lost=lambda: None
    )
    assert not finishing.is_behind
    async with anyio.create_task_group() as group:
        group.start_soon(finishing.run)
        try:
            async with trigger(sessions, NOT_DELETED):
                for run in await claims.claim(["note"], 3, [], EVERYWHERE):
                    run.end(Completed(run.job))
                    finishing.add(run)
                await log.until(lambda: log.with_text("its outcome waits"))
                assert finishing.is_behind
            with anyio.fail_after(20):
                while finishing.completed < 3:  # noqa: ASYNC110 - it tries again by time
                    await anyio.sleep(0.01)
            assert not finishing.is_behind
        finally:
            finishing.close(5)
    await claims.close()
    await store.close()
