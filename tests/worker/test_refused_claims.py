"""A job whose claim the database refuses, or whose lock it does not release, stays behind alone."""

from __future__ import annotations

from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.worker import refused_claims
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.refusals import NOT_ENDED, trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

NOT_CLAIMED = "if old.priority = -7 and new.locked_by is not null then raise exception 'not now'; end if;"


@pytest.mark.parametrize(
    ("queue_name", "prefetch", "code"),
    [(None, 0, "08003"), (None, 20, "57P03"), ("q", 0, "P0001"), ("q", 20, "P0001")],
)
async def test_the_others_are_claimed_around_it(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    queue_name: str | None,
    prefetch: int,
    code: str,
) -> None:
    monkeypatch.setattr(refused_claims, "_PAUSE", 0.2)
    refusal = NOT_CLAIMED.replace("not now'", f"not now' using errcode = '{code}'")

    @tasks.task("note")
    async def note() -> None: ...

    refused = await add_job(note, priority=-7, queue_name=queue_name)
    for _ in range(20):
        await add_job(note, queue_name=queue_name)
    settings = RunnerSettings(concurrency=2, prefetch=prefetch, poll_interval=timedelta(milliseconds=50))
    async with trigger(sessions, refusal), Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 20, seconds=30)
        await add_job(note)
        await recorder.until(lambda: len(recorder.completed) == 21)
        async with sessions.begin() as session:
            await session.execute(text("drop trigger refuse on graphile_worker._private_jobs"))
        await recorder.until(lambda: len(recorder.completed) == 22)
    assert recorder.completed[-1].job.id == refused.id
    [said] = log.with_text("cannot be claimed")
    assert said.startswith(f"job {refused.id} cannot be claimed, and is tried again: ")
    assert said.endswith(f"SQLSTATE {code}, function public.refuse line 2")


@pytest.mark.parametrize("queues", [False, True])
async def test_many_of_them_starve_no_other(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    repo: JobRepository,
    add_job: AddJob,
    queues: bool,
) -> None:
    """More than one look shows, and more than a claim asks for."""

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        specs = [note.spec(priority=-7, queue_name=f"q{n}" if queues else None) for n in range(120)]
        await repo.add_jobs(session, [*specs, note.spec(), note.spec()])
    settings = RunnerSettings(concurrency=1, prefetch=0)
    async with trigger(sessions, NOT_CLAIMED), Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 2)
        await add_job(note)  # when the refused ones are known
        await recorder.until(lambda: len(recorder.completed) == 3)


async def test_where_all_are_refused_it_is_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """Nothing says that it is about one job, if no claim works."""

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, RunnerSettings(poll_interval=timedelta(milliseconds=50)), observers=[recorder]):
        async with sessions.begin() as session:
            await session.execute(text("alter table graphile_worker._private_tasks rename to away"))
        await log.until(lambda: log.about("claiming jobs"))
        async with sessions.begin() as session:
            await session.execute(text("alter table graphile_worker.away rename to _private_tasks"))
        await add_job(note)
        await recorder.until(lambda: recorder.completed)
    assert log.with_text("cannot be claimed") == []


@pytest.mark.parametrize("code", ["P0001", "55000"])
async def test_orphaned_locks_are_released_one_by_one(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, code: str
) -> None:
    """Both jobs lost their runs, as their attempts were changed; one of them the database does not unlock."""
    release = anyio.Event()

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    settings = RunnerSettings(concurrency=2, poll_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job(hold, priority=7)
        await add_job(hold, queue_name="q")
        await recorder.until(lambda: len(recorder.started) == 2)
        async with sessions.begin() as session:
            later = "run_at = now() + interval '1 hour'"
            await session.execute(text(f"update graphile_worker._private_jobs set attempts = attempts + 5, {later}"))
        async with trigger(sessions, NOT_ENDED.replace("audit'", f"audit' using errcode = '{code}'")):
            release.set()
            await recorder.until(lambda: len(recorder.lost) == 2)
            with anyio.fail_after(20):
                while await locks(sessions) != (1, 0):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
        with anyio.fail_after(20):
            while await locks(sessions) != (0, 0):  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
