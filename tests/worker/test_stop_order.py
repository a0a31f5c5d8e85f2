"""Stopping: gracefully, by the end of the grace period, by cancellation; nothing stays locked."""

from __future__ import annotations

import threading
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobContext,
    JobDetails,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    RunnerSettings,
    SchemaMissingError,
    SchemaTooNewError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.database.event_loops import driver_callback
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
SHUTDOWN = "the worker was shut down before the job ended"


async def jobs(sessions: Sessions) -> list[JobDetails]:
    async with sessions() as session:
        return await JobRepository().list_jobs(session)


async def test_running_jobs_end_within_the_grace_period(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("until_stopped")
    async def until_stopped(ctx: JobContext) -> None:
        await ctx.stopping.wait()
        async with ctx.session() as session:
            await ctx.repository.add_job(session, "afterwards")

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]) as runner:
        await add_job("until_stopped")
        await recorder.until(lambda: recorder.started)
        runner.stop()
        await recorder.until(lambda: recorder.completed)
    assert [job.task_identifier for job in await jobs(sessions)] == ["afterwards"]


async def test_grace_period_over_cancels_and_fails(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("stubborn")
    async def stubborn() -> None:
        await anyio.sleep_forever()

    settings = RunnerSettings(grace_period=timedelta(milliseconds=20))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job(stubborn)
        await recorder.until(lambda: recorder.started)
    [job] = await jobs(sessions)
    assert (job.last_error, job.attempts, job.state) == (SHUTDOWN, 1, JobState.RETRYING)
    assert [outcome.message for outcome in recorder.failed] == [SHUTDOWN]


async def test_a_stop_at_once_cancels_and_counts(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    runner: Runner

    @tasks.task("stubborn")
    async def stubborn() -> None:
        runner.stop(at_once=True)
        await anyio.sleep_forever()

    await add_job(stubborn)
    runner = Runner(engine, tasks, RunnerSettings(grace_period=timedelta(hours=1)))
    assert await runner.run_once() == RunCounts(completed=0, failed=1)
    assert [(job.last_error, job.locked_at) for job in await jobs(sessions)] == [(SHUTDOWN, None)]


async def test_a_stop_while_it_starts_is_not_lost(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    runner = Runner(engine, tasks)
    stop = driver_callback(runner.stop)
    event.listen(engine.sync_engine, "checkout", lambda *_: stop(), once=True)  # the first connection it uses
    await runner.run()
    assert [(job.attempts, job.locked_at) for job in await jobs(sessions)] == [(0, None)]


async def test_cancellation_from_outside_fails_what_runs_and_leaves_nothing_locked(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("stubborn")
    async def stubborn(ctx: JobContext) -> None:
        async with ctx.session():
            await anyio.sleep_forever()

    for _ in range(6):
        await add_job(stubborn, queue_name=None)
    async with anyio.create_task_group() as task_group:
        await task_group.start(Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]).run)
        await recorder.until(lambda: len(recorder.started) == 4)
        task_group.cancel_scope.cancel()
    found = await jobs(sessions)
    assert sorted(job.attempts for job in found) == [0, 0, 1, 1, 1, 1]
    assert {job.last_error for job in found if job.attempts} == {SHUTDOWN}
    assert not any(job.locked_at for job in found)


async def test_thread_that_does_not_end_is_left_to_itself(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    release = threading.Event()

    @tasks.task("thread")
    def thread() -> None:
        release.wait(30)

    settings = RunnerSettings(grace_period=timedelta(milliseconds=20))
    try:
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await add_job(thread)
            await recorder.until(lambda: recorder.started)
        [job] = await jobs(sessions)
        assert job.last_error == SHUTDOWN
    finally:
        release.set()


async def test_run_once_stops_when_asked(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    runner: Runner

    @tasks.task("stop")
    async def stop() -> None:
        runner.stop()

    for _ in range(5):
        await add_job(stop)
    runner = Runner(engine, tasks, RunnerSettings(concurrency=1))
    counts = await runner.run_once()
    assert 1 <= counts.completed < 5
    left = await jobs(sessions)
    assert len(left) == 5 - counts.completed
    assert {(job.attempts, job.locked_at) for job in left} == {(0, None)}


async def test_a_runner_runs_once_at_a_time_but_again_afterwards(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    runner = Runner(engine, tasks)
    async with runner:
        with pytest.raises(ConfigurationError, match="runs already"):
            await runner.run_once()
    await add_job(note)
    assert await runner.run_once() == RunCounts(completed=1, failed=0)


async def test_an_error_in_the_block_arrives_as_itself(engine: AsyncEngine, tasks: TaskRegistry) -> None:
    """Not in a group of exceptions, as from the task group that the runner is."""

    @tasks.task("note")
    async def note() -> None: ...

    runner = Runner(engine, tasks)
    with pytest.raises(KeyError, match="mine"):
        async with runner:
            raise KeyError("mine")
    with pytest.raises(SchemaMissingError):
        async with Runner(engine, tasks, RunnerSettings(schema="not_there")):
            pass
    async with runner:
        with pytest.raises(ConfigurationError, match="this runner is entered already: make another"):
            async with runner:
                pass


LISTENERS = """
select pid from pg_stat_activity
where datname = current_database() and state = 'idle' and query = 'LISTEN "worker:migrate"'
"""


async def listening(sessions: Sessions) -> int:
    """Wait until a worker listens; return its connection's process on the server."""
    with anyio.fail_after(10):
        while True:
            async with sessions() as session:
                pid = await session.scalar(text(LISTENERS))
            if pid is not None:
                return int(pid)
            await anyio.sleep(0.005)


BREAKING = '{"breaking": true, "migrationNumber": 21}'


async def test_breaking_migration_of_a_peer_stops_the_worker(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    notices = ["rubbish", '{"breaking": false, "migrationNumber": 20}', BREAKING]
    try:
        with anyio.fail_after(20), pytest.RaisesGroup(SchemaTooNewError):
            async with anyio.create_task_group() as task_group:
                await task_group.start(Runner(engine, tasks, ONLY_NOTIFIED).run)
                await listening(sessions)
                async with sessions.begin() as session:
                    await session.execute(
                        text("insert into graphile_worker.migrations (id, breaking) values (21, true)")
                    )
                    for payload in notices:
                        await session.execute(select(func.pg_notify("worker:migrate", payload)))
    finally:
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker.migrations where id = 21"))


async def test_a_notification_alone_stops_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """Any role can send one, and one about another schema is none of ours: the ledger knows."""

    @tasks.task("note")
    async def note() -> None: ...

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        for number in range(1, 4):
            await listening(sessions)
            async with sessions.begin() as session:
                await session.execute(select(func.pg_notify("worker:migrate", BREAKING)))
            await add_job(note)
            await recorder.until(lambda least=number: len(recorder.completed) == least)  # type: ignore[misc]


async def test_breaking_migration_while_nobody_listened_is_seen_too(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    try:
        with anyio.fail_after(20), pytest.RaisesGroup(SchemaTooNewError):
            async with anyio.create_task_group() as task_group:
                await task_group.start(Runner(engine, tasks, ONLY_NOTIFIED).run)
                pid = await listening(sessions)
                async with sessions.begin() as session:
                    began = "insert into graphile_worker.migrations (id, breaking) values (21, true)"
                    await session.execute(text(began))
                async with sessions.begin() as session:
                    await session.execute(select(func.pg_terminate_backend(pid)))
    finally:
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker.migrations where id > 19"))


async def test_missing_schema_is_said_at_the_start(engine: AsyncEngine, tasks: TaskRegistry) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    with pytest.raises(SchemaMissingError, match="gw_sqla migrate"):
        await Runner(engine, tasks, RunnerSettings(schema="elsewhere")).run()


async def test_engine_and_registry_are_checked(engine: AsyncEngine, tasks: TaskRegistry) -> None:
    with pytest.raises(ConfigurationError, match="registry is empty"):
        Runner(engine, tasks)

    @tasks.task("note")
    async def note() -> None: ...

    with pytest.raises(ConfigurationError, match="engine: must be create_async_engine"):
        Runner(engine.sync_engine, tasks)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^tasks: must be a TaskRegistry, TaskRegistry\(\), not the class$"):
        Runner(engine, TaskRegistry)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^tasks: must be a TaskRegistry, TaskRegistry\(\), not a list$"):
        Runner(engine, [note])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^settings: must be RunnerSettings\(...\), not a dict$"):
        Runner(engine, tasks, {"concurrency": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", ""),
        ("concurrency", 0),
        ("concurrency", "many"),
        ("prefetch", -1),
        ("prefetch", True),
        ("prefetch_ttl", timedelta(0)),
        ("poll_interval", timedelta(0)),
        ("poll_interval", 2),
        ("grace_period", timedelta(seconds=-1)),
        ("flush_timeout", timedelta(days=4000)),
        ("blocking_threshold", timedelta(0)),
        ("blocking_threshold", 1),
        ("forbidden_flags", "heavy"),
    ],
)
async def test_bad_settings_name_their_field(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        RunnerSettings(**{field: value})  # type: ignore[arg-type]
