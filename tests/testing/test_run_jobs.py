"""Jobs run in the test's transaction: by the real claim, executor and outcomes, and nothing is left of them."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    CallNext,
    ClaimedJob,
    Completed,
    Failed,
    FailPermanently,
    Interceptor,
    JobContext,
    JobRepository,
    JobSpec,
    JobStarted,
    JobState,
    JobTesterError,
    Observer,
    ResourceError,
    RetryAfter,
    RunnerSettings,
    Snooze,
    Snoozed,
    TaskRegistry,
)
from gw_sqla.admin import Pausing
from gw_sqla.forwarding import Message
from gw_sqla.testing import JobTester, rolled_back_session
from tests.testing.conftest import notes

pytestmark = pytest.mark.anyio

WRITE = text("insert into notes values (:note)")
HOUR = timedelta(hours=1)


async def test_a_handlers_commit_is_a_savepoints_release(
    kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository
) -> None:
    seen: list[int] = []

    @tasks.task("write")
    async def write(payload: str, ctx: JobContext) -> None:
        seen.append(ctx.job.attempts)
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            await ctx.repository.add_job(own, "mail", {"to": payload})
            repo.add_job_on_commit(own, "mail", {"to": "on commit"})

    @tasks.task("mail")
    async def mail(payload: dict[str, str]) -> None: ...

    async with rolled_back_session(kit_engine) as session:
        await session.execute(text("create table notes (note text)"))
        jobs = JobTester(session, tasks)
        await repo.add_job(session, write, "a")
        report = await jobs.run_jobs(write)
        assert (len(report.completed), len(report.outcomes), seen) == (1, 1, [1])
        assert [job.task_identifier for job in report.left] == ["mail", "mail"]
        assert await notes(session) == ["a"]
        assert [job.payload["to"] for job in await jobs.added(mail)] == ["a", "on commit"]
        assert str(await jobs.run_jobs()) == "completed 2, failed 0, retried 0, snoozed 0"
        assert await jobs.added() == []
        await session.commit()
    async with AsyncSession(kit_engine) as look:
        with pytest.raises(DBAPIError):
            await notes(look)
        await look.rollback()
        assert await repo.list_jobs(look) == []


async def test_the_sessions_that_handlers_are_given(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """One that fails loses what it did itself, and not what it had committed elsewhere."""

    @tasks.task("injected")
    async def injected(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})
        if payload == "fails":
            raise ValueError(payload)

    @tasks.task("transactional", transactional=True)
    async def transactional(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})

    @tasks.task("twice")
    async def twice(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "committed before"})
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            raise ValueError(payload)

    @tasks.task("completes")
    async def completes(payload: str, ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": payload})
            await ctx.complete(own)
        raise ValueError("after the job was completed")

    await repo.add_job(session, injected, "fails")
    await repo.add_job(session, injected, "injected")
    await repo.add_job(session, transactional, "transactional")
    await repo.add_job(session, twice, "lost")
    await repo.add_job(session, completes, "completed")
    report = await jobs.run_jobs(errors="record")
    assert str(report) == "completed 3, failed 0, retried 2, snoozed 0"
    assert await notes(session) == ["committed before", "completed", "injected", "transactional"]
    assert [job.task_identifier for job in await jobs.added()] == ["injected", "twice"]


async def test_a_completion_that_is_rolled_back(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("rolls_back")
    async def rolls_back(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "a"})
            await ctx.complete(own)
            await own.rollback()

    await repo.add_job(session, rolls_back)
    report = await jobs.run_jobs(errors="record")
    assert [failed.message for failed in report.retried] == ["the transaction that completed the job was rolled back"]
    assert await notes(session) == []
    [job] = await jobs.added()
    assert (job.attempts, job.state) == (1, JobState.RETRYING)
    await jobs.travel(seconds=10)
    assert [job.state for job in await jobs.added()] == [JobState.READY]


async def test_errors_are_raised_as_handlers_raised_them(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fails")
    async def fails() -> None:
        raise LookupError("no such order")

    row = await repo.add_job(session, fails)
    await repo.add_job(session, fails)
    with pytest.raises(LookupError, match="no such order") as error:
        await jobs.run_jobs()
    assert traceback.extract_tb(error.value.__traceback__)[-1].name == "fails"
    assert error.value.__notes__ == [f"gw_sqla: job {row.id} of task 'fails', attempt 1 of 25"]
    first, second = await jobs.added()
    assert (first.attempts, first.last_error, first.locked_at) == (1, "LookupError: no such order", None)
    assert second.attempts == 0
    await session.execute(text("select 1"))  # the transaction goes on


async def test_kinds_of_failures(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    errors: dict[str, BaseException] = {
        "retried": RetryAfter(timedelta(minutes=10)),
        "failed": FailPermanently("never"),
    }

    @tasks.task("fails")
    async def fails(payload: str) -> None:
        raise errors[payload]

    await repo.add_jobs(session, [fails.spec(kind) for kind in errors])
    report = await jobs.run_jobs(errors="record")
    for kind, error in errors.items():
        [failed] = getattr(report, kind)
        assert failed.exception is error, kind
    assert report.exceptions == list(errors.values())
    assert report.left == []


async def test_snoozes(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository) -> None:
    """No error, and no attempt; from the kit's time on."""

    @tasks.task("waits")
    async def waits() -> Snooze:
        return Snooze(timedelta(minutes=10), "the export is not ready")

    await repo.add_job(session, waits)
    for snoozes in (1, 2):
        await jobs.travel(hours=1)
        [snoozed] = (await jobs.run_jobs()).snoozed
        assert (snoozed.snoozes, snoozed.message) == (snoozes, "Snooze: the export is not ready")
        [job] = await jobs.added()
        assert job.attempts == 0
        assert abs(job.run_at - jobs.now - timedelta(minutes=10)) < timedelta(minutes=1)
    assert isinstance(await jobs.run(waits), Snoozed)


async def test_time_travel(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository) -> None:
    """A retry waits for its backoff from the time of the failure, wherever the kit's clock is by then."""
    attempts: list[int] = []

    @tasks.task("fails", max_attempts=3, backoff=lambda attempts: timedelta(minutes=attempts))
    async def fails(ctx: JobContext) -> None:
        attempts.append(ctx.job.attempts)
        raise ValueError

    await repo.add_job(session, fails, run_at=datetime.now(UTC) + HOUR)
    assert (await jobs.run_jobs()).outcomes == []
    await jobs.travel(hours=1, seconds=1)
    assert len((await jobs.run_jobs(errors="record")).retried) == 1
    await jobs.travel(timedelta(seconds=50))
    assert (await jobs.run_jobs()).outcomes == []
    await jobs.travel(seconds=20)
    assert len((await jobs.run_jobs(errors="record")).retried) == 1
    assert attempts == [1, 2]
    [job] = await jobs.added()
    assert abs(job.run_at - jobs.now - timedelta(minutes=2)) < timedelta(minutes=1)
    assert len((await jobs.run_jobs(errors="record", due=job.run_at)).failed) == 1
    [job] = await jobs.added()
    assert (attempts, job.state) == ([1, 2, 3], JobState.FAILED)


async def test_a_clock_that_stands(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    midnight = datetime(2030, 1, 1, tzinfo=UTC)
    jobs = JobTester(session, tasks, now=midnight)
    await repo.add_job(session, note, run_at=midnight + HOUR)
    assert (await jobs.run_jobs()).outcomes == []
    assert await jobs.travel(to=midnight + HOUR) == jobs.now == midnight + HOUR
    assert len((await jobs.run_jobs()).completed) == 1


async def test_each_job_once_whenever_it_is_due(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fails")
    async def fails() -> None:
        raise ValueError

    await repo.add_job(session, fails, run_at=datetime.now(UTC) + 100 * HOUR)
    report = await jobs.run_jobs(due="all", errors="record")
    assert str(report) == "completed 0, failed 0, retried 1, snoozed 0"


async def test_the_order_and_queues_of_a_worker(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    order: list[str] = []

    @tasks.task("note")
    async def note(payload: str) -> None:
        order.append(payload)

    await repo.add_job(session, note, "last", priority=9)
    await repo.add_job(session, note, "first of q", queue_name="q")
    await repo.add_job(session, note, "second of q", queue_name="q")
    await repo.add_job(session, note, "first", priority=-1)
    await repo.add_job(session, note, "replaced", job_key="k", priority=5)
    await repo.add_job(session, note, "keyed", job_key="k", priority=5)
    assert len((await jobs.run_jobs()).completed) == 5
    assert order == ["first", "first of q", "second of q", "keyed", "last"]


async def test_batches(session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> list[Exception | None]:
        return [ValueError(n) if n % 2 else None for n in payload]

    await repo.add_job(session, batch, [1, 2], job_key="k")
    await repo.add_job(session, batch, [3, 4], job_key="k")
    report = await jobs.run_jobs(errors="record")
    [error] = report.exceptions
    assert isinstance(error, ExceptionGroup)
    assert [str(one) for one in error.exceptions] == ["1", "3"]
    [job] = await jobs.assert_added(batch)
    assert job.payload == [1, 3]


async def test_timeouts_and_threads(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("slow", timeout=timedelta(milliseconds=50))
    async def slow(payload: str, own: AsyncSession) -> None:
        await own.execute(WRITE, {"note": payload})
        await anyio.sleep_forever()

    @tasks.task("sync")
    def sync(payload: str, ctx: JobContext) -> None:
        anyio.from_thread.run(ctx.add_job, "added", payload)

    await repo.add_job(session, slow, "a")
    await repo.add_job(session, sync, "b")
    report = await jobs.run_jobs(errors="record")
    assert str(report) == "completed 1, failed 0, retried 1, snoozed 0"
    assert "timeout" in report.retried[0].message
    assert await notes(session) == []
    await jobs.assert_added("added", "b")


class Unused: ...


class Mailer:
    def __init__(self, server: str = "") -> None:
        self.sent: list[str] = []
        self.server = server


async def test_resources(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    """Those of tasks that run are made, and closed at the end; those that are given are not."""
    events: list[str] = []

    @tasks.resource
    def unused() -> Unused:
        events.append("unused is made")
        return Unused()

    @tasks.resource
    def address() -> str:
        events.append("address is made")
        return "mail.example.com"

    @tasks.resource
    def mailer(server: str) -> Mailer:
        events.append("mailer is made")
        return Mailer(server)

    @tasks.task("mail")
    async def mail(payload: dict[str, str], mailer: Mailer) -> None:
        mailer.sent.append(payload["to"])
        events.append(f"sent by {mailer.server}")

    @tasks.task("unused")
    async def never(payload: int, unused: Unused) -> None: ...

    await repo.add_job(session, mail, {"to": "ada"})
    await JobTester(session, tasks).run_jobs()
    assert events == ["address is made", "mailer is made", "sent by mail.example.com"]
    await repo.add_job(session, mail, {"to": "grace"})
    fake = Mailer("fake")
    await JobTester(session, tasks, resources={Mailer: fake}).run_jobs()
    assert (fake.sent, events[3:]) == (["grace"], ["sent by fake"])
    await JobTester(session, tasks, resources={str: "other"}).run(mail, {"to": "x"})
    assert events[4:] == ["mailer is made", "sent by other"]
    with pytest.raises(JobTesterError, match="no task asks for <class 'int'>: they ask for Mailer, Unused, str"):
        JobTester(session, tasks, resources={int: 1})


async def test_a_resource_that_cannot_be_made(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """As a runner, which would not have claimed the job."""

    @tasks.resource
    def mailer() -> Mailer:
        raise ConnectionError("no server")

    @tasks.task("mail")
    async def mail(payload: str, mailer: Mailer) -> None: ...

    await repo.add_job(session, mail, "a")
    with pytest.raises(ResourceError, match="no server"):
        await jobs.run_jobs()
    [job] = await jobs.added()
    assert (job.attempts, job.state) == (0, JobState.READY)
    with pytest.raises(ResourceError, match="no server"):
        await jobs.run(mail, "a")


async def test_forwarded_tasks_are_left(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    class Nowhere:
        async def open(self) -> None:
            raise AssertionError("nothing is sent")

        async def close(self) -> None: ...

        async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
            return []

    tasks.forward("elsewhere", Nowhere())
    await repo.add_job(session, "elsewhere", {})
    report = await jobs.run_jobs()
    assert ([job.task_identifier for job in report.left], report.outcomes) == (["elsewhere"], [])
    with pytest.raises(JobTesterError, match="forwarded to a sink"):
        await jobs.run("elsewhere", {})


async def test_jobs_that_add_each_other(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("ping")
    async def ping(ctx: JobContext) -> None:
        await ctx.add_job("pong")

    @tasks.task("pong")
    async def pong(ctx: JobContext) -> None:
        await ctx.add_job("ping")

    await repo.add_job(session, ping)
    with pytest.raises(JobTesterError, match=r"10 jobs have run.*add each other: .*'pong' adds 'ping' adds 'pong'"):
        await jobs.run_jobs(limit=10)
    report = await jobs.run_jobs(recursive=False)
    assert len(report.completed) == 1
    await jobs.assert_added(pong, count=1)


async def test_a_job_that_comes_again_at_once(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("fails", backoff=lambda _: timedelta(0))
    async def fails() -> None:
        raise ValueError

    await repo.add_job(session, fails)
    with pytest.raises(JobTesterError, match="which has run 5 times: it fails, and its backoff"):
        await jobs.run_jobs(limit=5, errors="record")


async def test_what_a_worker_would_leave(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    jobs = JobTester(session, tasks, settings=RunnerSettings(forbidden_flags=["slow"], max_payload_size=1024))
    await repo.add_job(session, "of_node")
    await repo.add_job(session, note, flags=["slow"])
    await repo.add_job(session, "note", "x" * 2000)
    report = await jobs.run_jobs(errors="record")
    assert [job.task_identifier for job in report.left] == ["of_node", "note"]
    assert "max_payload_size" in report.retried[0].message


async def test_what_is_paused_is_left(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("note")
    async def note(payload: str) -> None: ...

    @tasks.task("mail")
    async def mail() -> None: ...

    for queue_name in ("q", None):
        await repo.add_job(session, note, str(queue_name), queue_name=queue_name)
    await repo.add_job(session, mail)
    pausing = Pausing()
    await pausing.pause(session, queue_name="q")
    await pausing.pause(session, task="mail")
    report = await jobs.run_jobs()
    assert [outcome.job.payload for outcome in report.outcomes] == ["None"]
    assert [job.task_identifier for job in report.left] == ["note", "mail"]
    await pausing.resume(session, everything=True)
    assert len((await jobs.run_jobs()).completed) == 2


async def test_observers(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    told: list[str] = []

    class Told(Observer):
        def job_started(self, event: JobStarted) -> None:
            told.append(f"started {event.job.task_identifier}")

        def job_completed(self, outcome: Completed) -> None:
            told.append("completed")

        def job_failed(self, outcome: Failed) -> None:
            told.append(outcome.message)

    @tasks.task("note")
    async def note(payload: int) -> None:
        if payload:
            raise ValueError(payload)

    await repo.add_jobs(session, [note.spec(0), note.spec(1)])
    await JobTester(session, tasks, observers=[Told()]).run_jobs(errors="record")
    assert told == ["started note", "completed", "started note", "ValueError: 1"]


async def test_interceptors(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    seen: list[Any] = []

    class Doubles(Interceptor):
        async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
            return await call_next(job.with_payload(2 * job.payload))

        def add_job(self, spec: JobSpec) -> JobSpec:
            return replace(spec, payload=spec.payload + 100)

    @tasks.task("note")
    async def note(payload: int, ctx: JobContext) -> None:
        seen.append(payload)
        if payload < 100:
            await ctx.repository.add_job(ctx_session, note, payload)

    ctx_session = session
    await repo.add_job(session, note, 1)
    report = await JobTester(session, tasks, interceptors=[Doubles()]).run_jobs()
    assert seen == [2, 204]
    assert [outcome.seconds > 0 for outcome in report.completed] == [True, True]


async def test_an_aborted_transaction_is_got_back(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    """A handler that uses the test's own connection, and catches what PostgreSQL says."""

    @tasks.task("aborts")
    async def aborts() -> None:
        with pytest.raises(DBAPIError):
            await session.execute(text("select 1/0"))

    await repo.add_job(session, aborts)
    report = await jobs.run_jobs(errors="record")
    assert "aborted its transaction" in report.retried[0].message
    assert len(await jobs.added()) == 1


async def test_a_queue_of_a_test_beside_this_one_is_waited_for(
    kit_engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    async with AsyncSession(kit_engine) as committing:
        await repo.add_job(committing, note, queue_name="q")
        await committing.commit()
    done: list[str] = []

    async def run_second(session: AsyncSession) -> None:
        assert len((await JobTester(session, tasks).run_jobs()).completed) == 1
        done.append("second")

    async def run_first(group: anyio.abc.TaskGroup, second: AsyncSession) -> None:
        async with rolled_back_session(kit_engine) as first:
            for session in (first, second):
                await repo.add_job(session, note, queue_name="q")
            assert len((await JobTester(first, tasks).run_jobs()).completed) == 1
            group.start_soon(run_second, second)
            await _until_somebody_waits(kit_engine)
            done.append("first")

    async with rolled_back_session(kit_engine) as second, anyio.create_task_group() as group:
        await run_first(group, second)  # its transaction ends before the group
    assert done == ["first", "second"]


async def _until_somebody_waits(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as look:
        while not await look.scalar(text("select count(*) from pg_locks where not granted")):
            await look.rollback()


async def test_cancellation_undoes_the_job(
    session: AsyncSession, jobs: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    began = anyio.Event()

    @tasks.task("waits")
    async def waits(ctx: JobContext) -> None:
        async with ctx.session() as own:
            await own.execute(WRITE, {"note": "committed"})
        began.set()
        await anyio.sleep_forever()

    await repo.add_job(session, waits)
    await session.commit()
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            await began.wait()
            group.cancel_scope.cancel()

        group.start_soon(cancel)
        await jobs.run_jobs()
    assert began.is_set()
    assert await notes(session) == []
