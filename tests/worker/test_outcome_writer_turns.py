"""Outcomes whose rows were locked, and are refused when they are free: written once, and as patiently as others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.worker import put_aside
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.refusals import trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

LOCK = text("select from graphile_worker._private_jobs for update")
ONCE = (
    "if tg_op = 'DELETE' and old.priority = 7 and nextval('public.deletions') = 1 "
    "then raise exception 'not yet'; end if;"
)


@pytest.fixture
async def refused_once(sessions: Sessions) -> AsyncIterator[None]:
    """The first deletion of a job of priority 7 is refused. A sequence counts, which no rollback sets back."""
    async with sessions.begin() as session:
        await session.execute(text("create sequence deletions"))
    async with trigger(sessions, ONCE):
        yield
    async with sessions.begin() as session:
        await session.execute(text("drop sequence deletions"))


@pytest.mark.usefixtures("refused_once")
async def test_what_is_refused_as_one_of_several_that_were_locked_is_written_once(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """A second write would find nothing, and call the lock lost."""
    release = anyio.Event()

    @tasks.task("note")
    async def note() -> None:
        await release.wait()

    async with Runner(engine, tasks, RunnerSettings(concurrency=2), observers=[recorder]):
        jobs = [await add_job(note, priority=7), await add_job(note)]
        await recorder.until(lambda: len(recorder.started) == 2)
        async with sessions.begin() as session:
            await session.execute(LOCK)
            release.set()
            await anyio.sleep(1)  # both are put aside
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert {outcome.job.id for outcome in recorder.completed} == {job.id for job in jobs}
    assert (recorder.lost, recorder.failed) == ([], [])


@pytest.mark.usefixtures("refused_once")
async def test_patience_begins_with_the_first_refusal(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the row was locked before."""
    monkeypatch.setattr(put_aside, "_PATIENCE", 2.0)
    monkeypatch.setattr(put_aside, "_LONGEST_DELAY", 0.1)

    @tasks.task("note")
    async def note() -> None:
        await release.wait()

    release = anyio.Event()
    async with Runner(engine, tasks, observers=[recorder]):
        await add_job(note, priority=7)
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(LOCK)
            release.set()
            await log.until(lambda: log.with_text("another transaction has locked it"))
            await anyio.sleep(2.5)  # longer than the patience
        await recorder.until(lambda: recorder.completed or recorder.failed)
    assert log.with_text("it is refused: ")
    assert (len(recorder.completed), recorder.failed) == (1, [])
