"""Uses of gw_sqla that mypy and pyright must accept; checked by check.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import TypedDict

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobKeyMode,
    JobRepository,
    JobRow,
    JobSpec,
    JobState,
    Runner,
    RunnerSettings,
    Task,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.models import Job
from gw_sqla.models import Task as TaskModel

tasks = TaskRegistry()
repo = JobRepository()


class Email(BaseModel):
    to: str


@dataclass
class Report:
    year: int


class Order(TypedDict):
    number: int


@tasks.task("send_email", timeout=timedelta(seconds=30))
async def send_email(payload: Email, ctx: JobContext) -> None:
    async with ctx.session() as session:
        assert_type(session, AsyncSession)


@tasks.task("make_report")
def make_report(payload: Report) -> None: ...


@tasks.task("ship_order")
async def ship_order(payload: Order) -> None: ...


@tasks.task("tick")
async def tick() -> None: ...


@tasks.task("import_rows", batch=True)
async def import_rows(payload: list[int]) -> list[bool]:
    return [item > 0 for item in payload]


async def add(session: AsyncSession) -> None:
    task: Task[Email] = send_email
    row = await repo.add_job(session, task, Email(to="a"), queue_name="q", run_at=datetime.now(UTC))
    assert_type(row, JobRow)
    await repo.add_job(session, make_report, Report(2026), job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)
    await repo.add_job(session, ship_order, Order(number=1), priority=-1, max_attempts=3, flags=["a"])
    await repo.add_job(session, import_rows, [1, 2])
    await repo.add_job(session, tick)
    await repo.add_job(session, "task_of_a_node_worker", {"id": 1})
    await repo.add_jobs(session, [JobSpec(task_identifier="a"), send_email.spec(Email(to="a"))])
    await repo.list_jobs(session, state=JobState.READY)


async def read(engine: AsyncEngine) -> None:
    sessions = async_sessionmaker(engine)
    async with sessions.begin() as session:
        assert_type(session, AsyncSession)
        await add(session)
        jobs = await session.scalars(select(Job).join(Job.task).where(TaskModel.identifier == "send_email"))
        for job in jobs:
            assert_type(job.task.identifier, str)


async def run(engine: AsyncEngine) -> Any:
    runner = Runner(engine, tasks, RunnerSettings(concurrency=2))
    await runner.run()
    return await runner.run_once()
