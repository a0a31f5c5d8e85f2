"""Jobs that are held by row locks alone, when their worker dies, or its connection ends, or they touch themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import anyio
import anyio.to_thread
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, Runner, TaskRegistry, async_sessionmaker
from gw_sqla.worker import takers
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Recovered, Sweeps
from tests.support.forks import fork
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker import dying_worker
from tests.worker.conftest import AddJob
from tests.worker.held import HOLDING, age_holds, free_jobs, holds, one, until_there_are

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

SOON = replace(HOLDING, lease_after=timedelta(milliseconds=50))
DIED = "the worker died while it had this job: the connection of {} ended"
END_OF_HOLDS = """select pg_terminate_backend(a.pid)
from pg_stat_activity a
join pg_locks l on l.pid = a.pid and l.locktype = 'advisory' and l.granted
join graphile_worker._private_sqla_holds h on h.id = (cast(l.classid as bigint) << 32) + cast(l.objid as bigint)
where a.datname = current_database()"""
"""Of those that have jobs: another one may be about to claim."""


async def sweep(engine: AsyncEngine, delay: timedelta = timedelta(0)) -> list[Recovered]:
    sweeps = Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))
    try:
        return await sweeps.settle_holds(delay)
    finally:
        await sweeps.close()


@pytest.fixture
async def deaths(sessions: Sessions) -> AsyncIterator[None]:
    async with sessions.begin() as session:
        await session.execute(text("create table deaths (attempt int, is_leased boolean)"))
    yield
    async with sessions.begin() as session:
        await session.execute(text("drop table deaths"))


async def die(url: str, backend: str) -> None:
    process = fork(dying_worker.work, url, backend)
    await anyio.to_thread.run_sync(process.join)
    assert process.exitcode == -signal.SIGKILL


async def all_deaths(sessions: Sessions) -> list[tuple[int, bool]]:
    async with sessions() as session:
        return [tuple(row) for row in await session.execute(text("select * from deaths order by ctid"))]


@pytest.mark.usefixtures("deaths")
async def test_jobs_of_a_killed_worker_are_free_at_once_and_have_spent_an_attempt(
    engine: AsyncEngine, clean_database: str, anyio_backend: str, sessions: Sessions, add_job: AddJob
) -> None:
    """The one that was not begun too, as after any recovery: nobody is left to say which were."""
    jobs = [await add_job("deadly", priority=number) for number in range(2)]
    ids = [job.id for job in jobs]
    await die(clean_database, anyio_backend)
    await until_there_are(sessions, 2)
    assert await holds(sessions) == [ids]
    assert await sweep(engine) == []  # they are their pool's to judge still
    await age_holds(sessions)
    [recovered] = await sweep(engine, timedelta(hours=1))
    assert (recovered.job_ids, recovered.final_ids) == (ids, [])
    assert await holds(sessions) == []
    async with sessions() as session:
        rows = await session.execute(
            text("select attempts, last_error, run_at > now() + interval '50 min' from graphile_worker._private_jobs")
        )
        assert [tuple(row) for row in rows] == [(1, DIED.format(recovered.what), True)] * 2
    assert await all_deaths(sessions) == [(1, False)]


@pytest.mark.usefixtures("deaths")
async def test_a_job_that_kills_its_worker_ends_after_its_attempts(
    engine: AsyncEngine, clean_database: str, anyio_backend: str, sessions: Sessions, add_job: AddJob
) -> None:
    job = await add_job("deadly", max_attempts=3)
    for _ in range(3):
        await die(clean_database, anyio_backend)
        await until_there_are(sessions, 1)
        await age_holds(sessions)  # the next worker sweeps as it starts; the last sweep is ours
    [recovered] = await sweep(engine)
    assert (recovered.job_ids, recovered.final_ids) == ([job.id], [job.id])
    assert await all_deaths(sessions) == [(1, False), (2, False), (3, False)]
    assert await one(sessions, "attempts, is_available") == (3, False)


@pytest.mark.usefixtures("deaths")
async def test_a_job_that_a_dead_hold_names_is_leased_at_once(
    engine: AsyncEngine, clean_database: str, anyio_backend: str, sessions: Sessions, add_job: AddJob
) -> None:
    """So it is not free at once again; the attempt that was held is counted when the lease has gone."""
    job = await add_job("deadly")
    await die(clean_database, anyio_backend)
    await until_there_are(sessions, 1)
    await die(clean_database, anyio_backend)
    assert await all_deaths(sessions) == [(1, False), (1, True)]
    assert await one(sessions, "attempts, locked_by is not null") == (1, True)
    await age_holds(sessions)
    assert await sweep(engine) == []
    assert await holds(sessions) == [[job.id]]
    async with sessions.begin() as session:
        await session.execute(text("update graphile_worker._private_jobs set locked_at = null, locked_by = null"))
    assert [recovered.job_ids for recovered in await sweep(engine)] == [[job.id]]
    assert await one(sessions, "attempts") == (2,)


async def test_a_replaced_job_pays_for_nothing(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    job = await add_job("note", job_key="key")
    gone = await add_job("note")
    async with sessions.begin() as session:
        await session.execute(
            text(
                "insert into graphile_worker._private_sqla_holds values "
                "(7, 'pool-dead', :ids, now(), now() - interval '1 hour')"
            ),
            {"ids": [job.id, gone.id]},
        )
        await session.execute(text("delete from graphile_worker._private_jobs where id = :id"), {"id": gone.id})
    await add_job("note", job_key="key", max_attempts=1)
    assert await sweep(engine) == []
    assert await holds(sessions) == []
    assert await one(sessions, "attempts, last_error") == (0, None)


async def test_a_hold_that_lives_is_left_alone(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("wait")
    async def wait(ctx: JobContext) -> None:
        await ctx.stopping.wait()

    job = await add_job(wait)
    async with Runner(engine, tasks, HOLDING, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        await age_holds(sessions)
        assert await sweep(engine) == []
        assert await holds(sessions) == [[job.id]]
    assert [outcome.job.attempts for outcome in recorder.completed] == [1]


async def test_a_lost_connection_cuts_handlers_off(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, log: Log
) -> None:
    """What had ended is not written, and runs again; only what had begun has spent an attempt."""
    ended: list[str] = []
    begun = anyio.Event()

    @tasks.task("wait")
    async def wait(ctx: JobContext) -> None:
        begun.set()
        try:
            if "wait" not in ended:
                await anyio.sleep_forever()
        finally:
            ended.append("wait")

    @tasks.task("note")
    async def note(ctx: JobContext) -> None: ...

    settings = replace(SOON, concurrency=1, prefetch=2, lease_after=timedelta(seconds=1), recovery_delay=timedelta(0))
    jobs = [await add_job(note), await add_job(wait), await add_job(note)]
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await begun.wait()
        async with sessions.begin() as session:
            assert len((await session.execute(text(END_OF_HOLDS))).all()) == 1
        await recorder.until(lambda: len(recorder.lost) == 3)
        assert ended == ["wait"]
        await recorder.until(lambda: len(recorder.completed) == 3)
    assert {outcome.job.id for outcome in recorder.completed} == {job.id for job in jobs}
    assert log.with_text("held jobs are lost, with the connection that held them")
    assert await locks(sessions) == (0, 0)
    assert await free_jobs(sessions) == []


async def test_only_what_had_begun_is_counted_after_a_lost_connection(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("wait")
    async def wait() -> None:
        await anyio.sleep_forever()

    jobs = [await add_job(wait), await add_job(wait)]
    settings = replace(SOON, concurrency=1, prefetch=1, grace_period=timedelta(0), lease_after=timedelta(seconds=1))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            await session.execute(text(END_OF_HOLDS))
        await recorder.until(lambda: len(recorder.lost) == 2)
        with anyio.fail_after(20):
            while await holds(sessions) != [[jobs[0].id]]:  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)


async def test_a_handler_that_blocks_the_loop_for_its_own_row_comes_free(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server ends a transaction that is idle for longer than a worker's should be."""
    monkeypatch.setattr(takers, "_IDLE_SECONDS", 0.2)

    @tasks.task("block")
    async def block(ctx: JobContext) -> None:
        if not recorder.lost:
            time.sleep(1)  # noqa: ASYNC251 - that is the point

    await add_job(block)
    async with Runner(engine, tasks, SOON, observers=[recorder]):
        await recorder.until(lambda: recorder.lost)
        await recorder.until(lambda: recorder.completed)


@pytest.mark.parametrize("kind", ["complete", "transactional"])
async def test_a_completion_in_a_session_takes_the_lease_first(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob, kind: str
) -> None:
    @tasks.task("complete")
    async def complete(ctx: JobContext) -> None:
        async with ctx.session() as session:
            await ctx.complete(session)
            await session.execute(text("insert into graphile_worker._private_tasks (identifier) values ('effect')"))

    @tasks.task("transactional", transactional=True)
    async def transactional(session: AsyncSession) -> None:
        await session.execute(text("insert into graphile_worker._private_tasks (identifier) values ('effect')"))

    await add_job(kind, queue_name="lane")
    with anyio.fail_after(8):  # it does not wait for lease_after
        assert (await Runner(engine, tasks, HOLDING, observers=[recorder]).run_once()).completed == 1
    async with sessions() as session:
        effects = text("select count(*) from graphile_worker._private_tasks where identifier = 'effect'")
        assert await session.scalar(effects) == 1
    assert await locks(sessions) == (0, 0)
    assert await holds(sessions) == []
    assert await free_jobs(sessions) == []


async def test_a_handler_adds_a_job_with_its_own_key(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """It waits for the lease, and then it is as with any: this one loses its key, the other is a new job."""

    @tasks.task("again")
    async def again(payload: int, ctx: JobContext) -> None:
        if payload == 1:
            await ctx.add_job("again", 2, job_key="own")

    first = await add_job(again, 1, job_key="own")
    with anyio.fail_after(20):
        assert (await Runner(engine, tasks, SOON, observers=[recorder]).run_once()).completed == 2
    assert {outcome.job.id == first.id for outcome in recorder.completed} == {True, False}


async def test_an_administrator_s_call_about_oneself(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """It waits for the lease, and touches nothing then, as it does with any job that runs."""
    touched: list[int] = []

    @tasks.task("touch")
    async def touch(ctx: JobContext) -> None:
        async with ctx.session() as session:
            rows = await session.execute(
                text("select id from graphile_worker.complete_jobs(array[cast(:id as bigint)])"), {"id": ctx.job.id}
            )
            touched.extend(row.id for row in rows if row.id is not None)

    await add_job(touch)
    assert (await Runner(engine, tasks, SOON, observers=[recorder]).run_once()).completed == 1
    assert touched == []
