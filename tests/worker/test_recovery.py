"""Dead worker pools: their locks are freed, exactly once, by whoever sweeps first; nobody else's are."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobState, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Recovered, Sweeps
from tests.support.pools import locks, register, registered, take_all
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.refusals import NOT_ENDED, trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

QUICK = RunnerSettings(
    poll_interval=timedelta(milliseconds=50),
    sweep_interval=timedelta(milliseconds=50),
    recovery_delay=timedelta(0),
)
DIED = "the worker died while it had this job: pool-dead (process 7 on there) sent no heartbeat for 60 s"
LONG_AGO = timedelta(seconds=61)
JUST_NOW = timedelta(seconds=1)


def a_sweeper(engine: AsyncEngine) -> Sweeps:
    return Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))


async def test_jobs_of_a_dead_pool_are_run_by_another(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note, queue_name="q")
    await add_job(note)
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    assert len(await take_all(sessions, "pool-dead")) == 2
    async with Runner(engine, tasks, QUICK, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert [outcome.job.attempts for outcome in recorder.completed] == [2, 2]
    assert await locks(sessions) == (0, 0)
    assert await registered(sessions) == []
    assert "dead worker recovered: pool-dead (process 7 on there) sent no heartbeat for 60 s" in caplog.text


async def test_run_once_recovers_first(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    await take_all(sessions, "pool-dead")
    assert (await Runner(engine, tasks, QUICK).run_once()).completed == 1


async def test_jobs_of_a_pool_that_beats_are_left_alone(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note, queue_name="q")
    await register(sessions, "pool-alive", silent_for=JUST_NOW)
    await take_all(sessions, "pool-alive")
    assert (await Runner(engine, tasks, QUICK).run_once()).completed == 0
    assert await locks(sessions) == (1, 1)
    assert await registered(sessions) == ["pool-alive"]


async def test_a_recovered_job_waits_and_says_why(
    engine: AsyncEngine, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    """The attempt stays spent: a job that kills each worker that has it fails permanently, and says so."""
    again = await add_job("note")
    last = await add_job("note", max_attempts=1)
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    await take_all(sessions, "pool-dead")
    before = datetime.now(UTC)
    sweeper = a_sweeper(engine)
    recovered = await sweeper.recover(timedelta(minutes=5))
    await sweeper.close()
    assert recovered == [Recovered(DIED.partition(": ")[2], [again.id, last.id], [last.id])]
    async with sessions() as session:
        jobs = await repo.list_jobs(session)
    assert [(job.state, job.attempts, job.last_error) for job in jobs] == [
        (JobState.RETRYING, 1, DIED),
        (JobState.FAILED, 1, DIED),
    ]
    assert timedelta(minutes=4) < jobs[0].run_at - before < timedelta(minutes=6)


async def test_of_many_sweepers_one_recovers(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    """Eight at once, without a leader: each dead pool is recovered by one of them."""
    for number in range(12):
        await add_job("note")
        await register(sessions, f"pool-{number}", silent_for=LONG_AGO)
        await take_all(sessions, f"pool-{number}")
    recovered: list[Recovered] = []
    async with AsyncExitStack() as stack, anyio.create_task_group() as sweepers:

        async def sweep(sweeper: Sweeps) -> None:
            recovered.extend(await sweeper.recover(timedelta(0)))

        for _ in range(8):
            sweeper = a_sweeper(engine)
            stack.push_async_callback(sweeper.close)
            sweepers.start_soon(sweep, sweeper)
    assert sorted(pool.what.split()[0] for pool in recovered) == sorted(f"pool-{number}" for number in range(12))
    assert sorted(len(pool.job_ids) for pool in recovered) == [1] * 12
    assert await locks(sessions) == (0, 0)


async def test_a_pool_that_beats_while_it_is_swept_is_spared(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob
) -> None:
    """The sweep has seen the old heartbeat, and finds the new one when it comes to the row."""
    await add_job("note")
    await register(sessions, "pool-slow", silent_for=LONG_AGO)
    await take_all(sessions, "pool-slow")
    async with sessions() as beating:
        await beating.execute(text("update graphile_worker._private_sqla_workers set last_heartbeat_at = now()"))
        sweeper = a_sweeper(engine)
        assert await sweeper.recover(timedelta(0)) == []  # does not wait for the beat to be committed
        await beating.commit()
        assert await sweeper.recover(timedelta(0)) == []
        await sweeper.close()
    assert await locks(sessions) == (1, 0)


async def test_counts_of_snoozed_jobs_that_are_gone_are_taken_out(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob
) -> None:
    """By the first look of a worker; what another is deleting is left to it."""
    waiting = await add_job("note")
    async with sessions.begin() as session:
        await session.execute(
            text("insert into graphile_worker._private_sqla_snoozes values (:id, 1), (0, 1), (-1, 1)"),
            {"id": waiting.id},
        )
    ids = text("select array_agg(job_id order by job_id) from graphile_worker._private_sqla_snoozes")
    sweeper = a_sweeper(engine)
    recovery = Recovery(
        sweeper, interval=timedelta(minutes=1), delay=timedelta(0), on_unlocked=lambda: None, look_within=0
    )
    async with sessions() as another:
        await another.execute(text("delete from graphile_worker._private_sqla_snoozes where job_id = -1"))
        await recovery.sweep()
        async with sessions() as session:
            assert await session.scalar(ids) == [-1, waiting.id]
        await another.rollback()
    assert await sweeper.forget_snoozes() == 1
    await sweeper.close()
    async with sessions() as session:
        assert await session.scalar(ids) == [waiting.id]


@pytest.mark.parametrize("held_for", [timedelta(hours=3, minutes=59), timedelta(hours=4, minutes=1)])
@pytest.mark.parametrize("is_registered", [False, True])
async def test_owners_that_never_registered_have_four_hours(
    engine: AsyncEngine,
    sessions: Sessions,
    add_job: AddJob,
    held_for: timedelta,
    is_registered: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Attempts and last_error stay as they are; a registered pool may hold a job for as long as it beats."""
    await add_job("note", queue_name="q")
    if is_registered:
        await register(sessions, "pool-node", silent_for=JUST_NOW)
    await take_all(sessions, "pool-node", held_for=held_for)
    sweeper = a_sweeper(engine)
    unlocked = await sweeper.unlock_stale()
    await sweeper.close()
    expected = held_for > timedelta(hours=4) and not is_registered
    assert (unlocked.owners, unlocked.jobs, unlocked.queues) == ((["pool-node"], 1, 1) if expected else ([], 0, 0))
    assert await locks(sessions) == ((0, 0) if expected else (1, 1))
    async with sessions() as session:
        [job] = await JobRepository().list_jobs(session)
    assert (job.attempts, job.last_error) == (1, None)


async def test_a_refused_row_stays_locked_alone_after_four_hours(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await add_job("note", priority=7, queue_name="kept")
    for _ in range(2):
        await add_job("note")
    await take_all(sessions, "pool-node", held_for=timedelta(hours=5))
    sweeper = a_sweeper(engine)
    async with trigger(sessions, NOT_ENDED):
        unlocked = await sweeper.unlock_stale()
    assert (unlocked.owners, unlocked.jobs, unlocked.queues) == (["pool-node"], 2, 1)
    assert await locks(sessions) == (1, 0)
    assert f"job {kept.id} stays locked: " in caplog.text
    await sweeper.close()


async def test_stale_locks_are_looked_for_every_now_and_then(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await add_job("note")
    await take_all(sessions, "pool-node", held_for=timedelta(hours=5))
    unlocked = anyio.Event()
    sweeper = a_sweeper(engine)
    recovery = Recovery(sweeper, interval=timedelta(0), delay=timedelta(0), on_unlocked=unlocked.set, look_within=0)
    async with anyio.create_task_group() as sweeping:
        sweeping.start_soon(recovery.run)
        with anyio.fail_after(20):
            await unlocked.wait()
        sweeping.cancel_scope.cancel()
    await sweeper.close()
    assert "1 jobs and 0 queues were locked for over 4 hours and are unlocked; their owners: pool-node" in caplog.text


@pytest.mark.parametrize("table", ["_private_jobs", "_private_job_queues"])
async def test_a_locked_row_holds_up_that_row_only(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, table: str
) -> None:
    """Its pool keeps its row, for the sweep after."""
    held = await add_job("note", queue_name="held")
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    await add_job("note", queue_name="free")
    await take_all(sessions, "pool-dead")
    await register(sessions, "pool-dead-too", silent_for=LONG_AGO)
    await add_job("note")
    await take_all(sessions, "pool-dead-too")
    sweeper = a_sweeper(engine)
    column = "id" if table == "_private_jobs" else "queue_name"
    value = held.id if table == "_private_jobs" else "'held'"
    async with sessions() as session:
        await session.execute(text(f"select from graphile_worker.{table} where {column} = {value} for update"))
        freed = [job_id for pool in await sweeper.recover(timedelta(0)) for job_id in pool.job_ids]
        assert len(freed) == (2 if table == "_private_jobs" else 3)
        assert await registered(sessions) == ["pool-dead"]
        assert await locks(sessions) == ((1, 1) if table == "_private_jobs" else (0, 1))
        assert await sweeper.recover(timedelta(0)) == []
    await sweeper.recover(timedelta(0))
    assert (await locks(sessions), await registered(sessions)) == ((0, 0), [])
    await sweeper.close()


@pytest.mark.parametrize("code", ["P0001", "55000", "57014"])
async def test_a_refused_row_holds_up_that_row_only(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    """Whatever code its trigger raises."""
    kept = await add_job("note", priority=7, queue_name="kept")
    for pool_id in ("pool-dead", "pool-dead-too"):
        await add_job("note", queue_name=pool_id)
        await register(sessions, pool_id, silent_for=LONG_AGO)
        await take_all(sessions, pool_id)
    await register(sessions, "pool-dead-without-jobs", silent_for=LONG_AGO)
    sweeper = a_sweeper(engine)
    async with trigger(sessions, NOT_ENDED.replace("audit'", f"audit' using errcode = '{code}'")):
        freed = [job_id for pool in await sweeper.recover(timedelta(0)) for job_id in pool.job_ids]
        assert (len(freed), await locks(sessions)) == (2, (1, 1))
        assert await registered(sessions) == ["pool-dead"]
        assert f"job {kept.id} of the dead pool pool-dead stays locked: " in caplog.text
    await sweeper.recover(timedelta(0))
    assert (await locks(sessions), await registered(sessions)) == ((0, 0), [])
    await sweeper.close()


async def test_a_sweep_that_waits_holds_up_no_beat(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """Somebody has locked the table of jobs, so the sweep waits; the worker says that it is alive all the same."""

    @tasks.task("note")
    async def note() -> None: ...

    settings = RunnerSettings(
        heartbeat_interval=timedelta(milliseconds=20), sweep_interval=timedelta(milliseconds=20), concurrency=1
    )
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    beat = text("select max(last_heartbeat_at) from graphile_worker._private_sqla_workers where pool_id <> 'pool-dead'")
    waits = text("select count(*) from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid))")
    async with sessions() as session:
        await session.execute(text("lock table graphile_worker._private_job_queues in access exclusive mode"))
        async with Runner(engine, tasks, settings, observers=[recorder]):
            with anyio.fail_after(20):
                while await session.scalar(waits) == 0:  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
                seen = first = await session.scalar(beat)
                while seen == first:
                    seen = await session.scalar(beat)
            await session.rollback()
