"""Outcomes that the database refuses: they end their own job, and hold up no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, Runner, TaskRegistry, async_sessionmaker
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Failed
from gw_sqla.jobs.run import Run
from gw_sqla.worker.claim_cursor import EVERYWHERE
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.outcome_store import OUTCOME_SETTINGS, OutcomeStore, Unwritten
from gw_sqla.worker.put_aside import UNWRITABLE
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def test_a_failure_that_cannot_be_written_is_written_in_our_words(
    engine: AsyncEngine, sessions: Sessions, repo: JobRepository, recorder: Recorder, add_job: AddJob
) -> None:
    for number in range(3):
        await add_job("note", number)
    claims = ClaimStore(WorkerConnection(engine, ends_backends=True), "graphile_worker", "pool-test")
    store = OutcomeStore(WorkerConnection(engine, OUTCOME_SETTINGS), "graphile_worker", "pool-test", claims)
    runs = await claims.claim(["note"], 3, [], EVERYWHERE)
    observers = Observers([recorder])
    finisher = Finisher(
        store, KnownRuns(), observers, most_unwritten=100, on_written=lambda _: None, on_lost=lambda: None
    )
    runs[0].end(Failed(job=runs[0].job, message="first"))
    runs[1].end(Failed(job=runs[1].job, message="no JSON", payload_text="{broken"))
    runs[2].end(Failed(job=runs[2].job, message="third", permanently=True))
    for run in runs:
        finisher.add(run)
    finisher.close(30)
    async with observers.delivering():
        await finisher.run()
    await claims.close()
    await store.close()
    async with sessions() as session:
        errors = [job.last_error or "" for job in await repo.list_jobs(session)]
        locked = [job.locked_by for job in await repo.list_jobs(session)]
    assert (errors[0], errors[2], locked) == ("first", "third", [None] * 3)
    assert errors[1].startswith(UNWRITABLE)
    assert (finisher.failed, len(recorder.failed)) == (3, 3)


class SlowlyAnswered(OutcomeStore):
    """Its answers about failures come when ``go_on`` is set; they are written long before."""

    written: anyio.Event
    go_on: anyio.Event

    async def fail(self, runs: Sequence[Run], *, around_locks: bool = False) -> Unwritten:
        answer = await super().fail(runs, around_locks=around_locks)
        self.written.set()
        await self.go_on.wait()
        return answer


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_job_that_is_claimed_anew_while_its_older_run_is_written(
    engine: AsyncEngine, sessions: Sessions, recorder: Recorder, add_job: AddJob, is_written: bool
) -> None:
    """What the write says is said of the older run, and once: it had unlocked what the claim found, or it had not."""
    await add_job("note")
    claims = ClaimStore(WorkerConnection(engine, ends_backends=True), "graphile_worker", "pool-test")
    store = SlowlyAnswered(WorkerConnection(engine, OUTCOME_SETTINGS), "graphile_worker", "pool-test", claims)
    store.written, store.go_on = anyio.Event(), anyio.Event()
    observers = Observers([recorder])
    finisher = Finisher(
        store, KnownRuns(), observers, most_unwritten=100, on_written=lambda _: None, on_lost=lambda: None
    )
    [run] = await claims.claim(["note"], 1, [], EVERYWHERE)
    run.end(Failed(job=run.job, message="x", retry_after=timedelta(0)))
    if not is_written:
        async with sessions.begin() as session:
            await session.execute(text("update graphile_worker._private_jobs set locked_at = null, locked_by = null"))
    finisher.add(run)
    async with observers.delivering(), anyio.create_task_group() as group:
        group.start_soon(finisher.run)
        with anyio.fail_after(20):
            await store.written.wait()
        assert len(await claims.claim(["note"], 1, [], EVERYWHERE)) == 1
        finisher.superseded(run)
        store.go_on.set()
        finisher.close(20)
    assert (len(recorder.failed), len(recorder.lost)) == ((1, 0) if is_written else (0, 1))
    await claims.close()
    await store.close()


async def test_a_sync_handler_that_returns_an_awaitable_fails(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    """Its work was never done: nobody awaits it."""

    async def really(payload: int) -> int:
        return payload

    def seemingly(payload: int) -> object:
        return really(payload)

    job = await add_job(tasks.task("note")(seemingly), 1)
    with anyio.fail_after(30):
        assert (await Runner(engine, tasks).run_once()).failed == 1
    async with sessions() as session:
        found = await repo.get_job(session, job.id)
    assert found is not None
    assert "make it async def" in (found.last_error or "")
