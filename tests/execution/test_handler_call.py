"""Kinds of handlers: sync ones in threads, batches, and what the context gives them."""

from __future__ import annotations

import logging
import threading
from typing import Any

import anyio
import anyio.from_thread
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    FailPermanently,
    JobContext,
    JobDetails,
    JobRepository,
    JobState,
    RunCounts,
    Runner,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.testing import JobTester
from tests.execution.conftest import MakeTester
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def kit(tester: MakeTester, tasks: TaskRegistry) -> JobTester:
    return tester(tasks)


async def failed(kit: JobTester, task: Any) -> JobDetails:
    """Run a job that fails; return it as it is then."""
    report = await kit.run_jobs(task, errors="record")
    assert not report.completed
    [job] = await kit.added(task)
    return job


async def test_sync_handler_runs_in_a_thread_and_can_add_jobs(kit: JobTester, tasks: TaskRegistry) -> None:
    threads: list[threading.Thread] = []

    @tasks.task("sync")
    def sync(payload: int, ctx: JobContext) -> None:
        threads.append(threading.current_thread())
        assert not ctx.stopping.is_set()
        if payload:
            anyio.from_thread.run(ctx.add_job, sync, payload - 1)

    await kit.run(sync, 2)
    assert len((await kit.run_jobs()).completed) == 2
    assert threading.main_thread() not in threads
    assert len(threads) == 3


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration("no"), SystemExit("no")])
async def test_sync_handlers_error_fails_the_job(
    rolled_back: AsyncSession, kit: JobTester, tasks: TaskRegistry, repo: JobRepository, error: BaseException
) -> None:
    @tasks.task("sync")
    def sync() -> None:
        raise error

    await repo.add_job(rolled_back, sync)
    assert f"{type(error).__name__}: no" in str((await failed(kit, sync)).last_error)


async def test_batch_retries_the_items_that_failed(
    rolled_back: AsyncSession, kit: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> list[ValueError | None]:
        return [ValueError("odd") if item % 2 else None for item in payload]

    await repo.add_job(rolled_back, batch, [1, 2, 3, 4])
    job = await failed(kit, batch)
    assert job.payload == [1, 3]
    assert (job.attempts, job.state) == (1, JobState.RETRYING)
    assert job.last_error == "2 of 4 items failed, the first with ValueError: odd"


@pytest.mark.parametrize("results", [[1, 2], None])
async def test_batch_without_failures_completes(kit: JobTester, tasks: TaskRegistry, results: Any) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> Any:
        return results

    await kit.run(batch, [1, 2])


@pytest.mark.parametrize(
    ("results", "state", "message"),
    [
        ([1], JobState.RETRYING, "must return one result for each of 2 items, returned 1"),
        ("ab", JobState.RETRYING, "returned 2"),
        (7, JobState.RETRYING, "returned a int"),
        ([FailPermanently("a"), FailPermanently("b")], JobState.FAILED, "2 of 2 items failed"),
        ([FailPermanently("a"), ValueError("b")], JobState.RETRYING, "2 of 2 items failed"),
    ],
)
async def test_batch_results_that_fail_the_job(
    rolled_back: AsyncSession,
    kit: JobTester,
    tasks: TaskRegistry,
    repo: JobRepository,
    results: Any,
    state: JobState,
    message: str,
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> Any:
        return results

    await repo.add_job(rolled_back, batch, [1, 2])
    job = await failed(kit, batch)
    assert (job.state, job.payload) == (state, [1, 2])
    assert message in str(job.last_error)


async def test_batch_task_with_a_payload_that_is_no_list(
    rolled_back: AsyncSession, kit: JobTester, tasks: TaskRegistry, repo: JobRepository
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: Any) -> Any:
        raise AssertionError("never called")

    await repo.add_job(rolled_back, "batch", {"not": "a list"})
    assert "a batch job's payload is a JSON array" in str((await failed(kit, batch)).last_error)


async def test_context_gives_the_job_a_session_and_a_logger(
    kit: JobTester, tasks: TaskRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    @tasks.task("look")
    async def look(ctx: JobContext, payload: dict[str, int]) -> None:
        async with ctx.session() as session:
            seen.append(await session.scalar(text("select 40 + :n"), payload))
            await ctx.repository.add_job(session, "other")
        ctx.logger.info("%d%% of %s", 100, "it")
        seen.append((ctx.job.payload, ctx.job.key, ctx.job.attempts, ctx.job.queue_name))

    caplog.set_level(logging.INFO, logger="gw_sqla.job")
    ended = await kit.run(look, {"n": 2}, job_key="k", queue_name="q")
    assert seen == [42, ({"n": 2}, "k", 1, "q")]
    await kit.assert_added("other", count=1)
    [record] = [record for record in caplog.records if record.name == "gw_sqla.job"]
    assert record.getMessage() == f"job {ended.job.id}, attempt 1: 100% of it"
    assert record.__dict__["task_identifier"] == "look"


async def test_handlers_session_rolls_back_when_it_is_left_by_an_error(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail(ctx: JobContext) -> None:
        await ctx.add_job("kept")
        async with ctx.session() as session:
            await ctx.repository.add_job(session, "dropped")
            raise ValueError

    await add_job("fail")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    async with sessions() as session:
        assert {job.task_identifier for job in await repo.list_jobs(session)} == {"fail", "kept"}
