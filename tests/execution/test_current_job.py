"""The current job: known wherever a handler's code is, and to the log."""

from __future__ import annotations

import logging
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    CallNext,
    ClaimedJob,
    CurrentJob,
    Interceptor,
    JobLogFilter,
    JobRepository,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    current_job,
)
from gw_sqla.testing import JobTester
from gw_sqla.worker.worker_pool import RunCounts
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


async def test_it_is_known_in_the_loop_in_threads_and_in_the_tasks_of_a_handler(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    seen: list[CurrentJob | None] = []

    def look() -> None:
        seen.append(current_job())

    async def look_in_task() -> None:
        look()

    class Look(Interceptor):
        async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
            look()
            return await call_next(job)

    @tasks.task("in_loop")
    async def in_loop() -> None:
        look()
        await anyio.to_thread.run_sync(look)
        async with anyio.create_task_group() as group:
            group.start_soon(look_in_task)

    @tasks.task("in_thread")
    def in_thread() -> None:
        assert threading.current_thread() is not threading.main_thread()
        look()

    ids = {}
    for number, name in enumerate(("in_loop", "in_thread")):
        ids[name] = (await add_job(name, queue_name="q" if number else None)).id
    runner = Runner(engine, tasks, RunnerSettings(concurrency=1), interceptors=[Look()])
    assert await runner.run_once() == RunCounts(2, 0)
    of_loop = CurrentJob(ids["in_loop"], "in_loop", None, 1)
    of_thread = CurrentJob(ids["in_thread"], "in_thread", "q", 1)
    assert [job for job in seen if job == of_loop] == [of_loop] * 4
    assert [job for job in seen if job == of_thread] == [of_thread] * 2
    assert len(seen) == 6
    assert current_job() is None


async def test_jobs_that_run_at_once_are_told_apart(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    seen: list[tuple[Any, Any]] = []
    all_there = anyio.Event()

    @tasks.task("meet")
    async def meet(payload: int) -> None:
        if payload == 4:
            all_there.set()
        await all_there.wait()
        job = current_job()
        assert job is not None
        seen.append((ids[payload], job.job_id))

    ids = {number: (await add_job("meet", number)).id for number in range(5)}
    assert await Runner(engine, tasks, RunnerSettings(concurrency=5)).run_once() == RunCounts(5, 0)
    assert len(seen) == 5
    assert all(added == known for added, known in seen)


async def test_a_tester_knows_it_and_forgets_it(
    engine: AsyncEngine, tasks: TaskRegistry, repo: JobRepository, sessions: async_sessionmaker[AsyncSession]
) -> None:
    seen: list[CurrentJob | None] = []

    @tasks.task("look")
    async def look() -> None:
        seen.append(current_job())

    from gw_sqla.testing import rolled_back_session

    async with rolled_back_session(engine) as session:
        row = await repo.add_job(session, "look")
        await JobTester(session, tasks).run_jobs()
    assert seen == [CurrentJob(row.id, "look", None, 1)]
    assert current_job() is None


async def test_the_filter_names_the_job_in_the_lines_of_everybody(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep()
    handler.setFormatter(logging.Formatter("%(job_id)s %(task_identifier)s %(queue_name)s %(attempt)s %(message)s"))
    handler.addFilter(JobLogFilter())
    log = logging.getLogger("of somebody")
    log.addHandler(handler)

    @tasks.task("speak")
    async def speak() -> None:
        log.warning("inside")
        log.warning("mine", extra={"attempt": "my own"})

    try:
        log.warning("outside")
        row = await add_job("speak")
        await Runner(engine, tasks).run_once()
    finally:
        log.removeHandler(handler)
    assert lines == [
        "None None None None outside",
        f"{row.id} speak None 1 inside",
        f"{row.id} speak None my own mine",
    ]
