"""What a worker would run is run, in its order, and what it would leave is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gw_sqla import (
    AsyncSession,
    CallNext,
    ClaimedJob,
    Completed,
    Failed,
    Interceptor,
    JobContext,
    JobRepository,
    JobSpec,
    JobStarted,
    JobTesterError,
    Observer,
    RunnerSettings,
    TaskRegistry,
)
from gw_sqla.admin import Pausing
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


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
