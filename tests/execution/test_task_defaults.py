"""What a task fixes for its jobs: the call's word counts, then the task's, then the schema's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    JobContext,
    JobKeyMode,
    JobRepository,
    Runner,
    TaskDefinitionError,
    TaskRegistry,
    async_sessionmaker,
)
from tests.execution.conftest import Jobs
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
Add = Callable[..., Awaitable[object]]


@dataclass
class Charge:
    customer: int


@pytest.fixture
def charge(tasks: TaskRegistry) -> Any:
    @tasks.task(
        "charge",
        max_attempts=5,
        priority=-3,
        queue_name=lambda payload: f"customer:{payload.customer}",
        job_key=lambda payload: f"charge {payload.customer}" if payload.customer else None,
        flags=["money"],
    )
    async def charge(payload: Charge) -> None: ...

    return charge


async def by_add_job(session: AsyncSession, *arguments: Any, **options: Any) -> None:
    await JobRepository().add_job(session, *arguments, **options)


async def by_add_jobs(session: AsyncSession, task: Any, payload: Any, **options: Any) -> None:
    await JobRepository().add_jobs(session, [task.spec(payload, **options)])


async def on_commit(session: AsyncSession, *arguments: Any, **options: Any) -> None:
    JobRepository().add_job_on_commit(session, *arguments, **options)


async def on_commit_later(session: AsyncSession, task: Any, payload: Any, **options: Any) -> None:
    JobRepository().add_job_on_commit(session, task, lambda: payload, **options)


@pytest.mark.parametrize("add", [by_add_job, by_add_jobs, on_commit, on_commit_later])
@pytest.mark.parametrize("payload", [Charge(7), {"customer": 7}])
async def test_they_hold_however_a_job_is_added(
    sessions: Sessions, jobs: Jobs, charge: Any, add: Add, payload: object
) -> None:
    async with sessions.begin() as session:
        await add(session, charge, payload)
    [job] = await jobs()
    assert (job.max_attempts, job.priority, job.flags) == (5, -3, {"money": True})
    assert (job.queue_name, job.key) == ("customer:7", "charge 7")


@pytest.mark.parametrize("add", [by_add_job, by_add_jobs, on_commit, on_commit_later])
async def test_what_the_call_says_wins(sessions: Sessions, jobs: Jobs, charge: Any, add: Add) -> None:
    """None, too: no queue, no key, the schema's number of attempts."""
    async with sessions.begin() as session:
        await add(session, charge, Charge(7), max_attempts=None, priority=0, queue_name=None, job_key="mine", flags=[])
    [job] = await jobs()
    assert (job.max_attempts, job.priority, job.flags) == (25, 0, None)
    assert (job.queue_name, job.key) == (None, "mine")


async def test_a_job_that_is_added_by_name_has_the_schemas(sessions: Sessions, jobs: Jobs, charge: Any) -> None:
    async with sessions.begin() as session:
        await by_add_job(session, "charge", {"customer": 7})
    [job] = await jobs()
    assert (job.max_attempts, job.priority, job.queue_name, job.key, job.flags) == (25, 0, None, None, None)


async def test_in_a_handler_and_in_cron_items(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, charge: Any
) -> None:
    """What is a function of the payload is not for cron items."""

    @tasks.task("start")
    async def start(ctx: JobContext) -> None:
        await ctx.add_job(charge, Charge(8))

    async with async_sessionmaker(engine).begin() as session:
        await by_add_job(session, start)
    await Runner(engine, tasks, observers=[recorder]).run_once()
    assert {outcome.job.key for outcome in recorder.completed} == {None, "charge 8"}
    item, other = TaskRegistry(), TaskRegistry()
    task = item.task("a", max_attempts=3, queue_name=lambda _: "q", job_key="k")(charge.handler)
    item.cron("0 4 * * *", payload={"customer": 1})(task)
    [declared] = item.cron_items
    assert (declared.max_attempts, declared.queue_name, declared.job_key) == (3, None, "k")
    other.cron("0 4 * * *", payload={"customer": 1}, max_attempts=9)(task)
    assert other.cron_items[0].max_attempts == 9


async def test_a_key_mode_goes_with_a_key_of_the_task(sessions: Sessions, jobs: Jobs, charge: Any) -> None:
    for add in (by_add_job, on_commit, on_commit_later):
        async with sessions.begin() as session:
            await add(session, charge, Charge(7), job_key_mode=JobKeyMode.PRESERVE_RUN_AT)
    assert len(await jobs()) == 1
    for add in (by_add_job, on_commit, on_commit_later):
        async with sessions() as session:
            with pytest.raises(InvalidJobError, match=r"^job_key_mode: has no effect without job_key"):
                await add(session, charge, Charge(7), job_key=None, job_key_mode=JobKeyMode.REPLACE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_attempts": 0}, "max_attempts: must be 1 to 32767"),
        ({"priority": 2**15}, "priority: must be"),
        ({"queue_name": ""}, "queue_name: must have 1 to 128 characters"),
        ({"job_key": 7}, "job_key: must be a str, not int"),
        ({"flags": "one"}, "flags: must be a list of str"),
    ],
)
def test_bad_ones_are_refused_where_the_task_is_declared(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"^task 'charge': {re.escape(says)}"):
        TaskRegistry().task("charge", **options)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda _: 7, "the function of Task('a') returned 7: must be a str, not int"),
        (lambda _: "", "the function of Task('a') returned '': must have 1 to 128 characters, has 0"),
        (lambda payload: payload["no"], "the function of Task('a') failed: KeyError: 'no'"),
    ],
)
def test_a_function_that_fails_is_named(function: Callable[[Any], Any], says: str) -> None:
    @TaskRegistry().task("a", queue_name=function)
    async def task(payload: dict[str, int]) -> None: ...

    with pytest.raises(InvalidJobError, match=f"^queue_name: {re.escape(says)}"):
        task.spec({"a": 1})
