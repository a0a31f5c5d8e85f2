"""Uses of gw_sqla that mypy and pyright must accept; checked by check.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session
from typing_extensions import TypedDict

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobKeyMode,
    JobRepository,
    JobRow,
    JobSpec,
    JobState,
    ModelJobs,
    PendingJob,
    Runner,
    RunnerSettings,
    SyncJobRepository,
    Task,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.models import Job
from gw_sqla.models import Task as TaskModel

tasks = TaskRegistry()
repo = JobRepository()
sync_repo = SyncJobRepository()


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


@tasks.cron("0 4 * * *", fill=timedelta(days=1), payload=Order(number=1), id="nightly")
@tasks.cron("@hourly", payload={"number": 2})
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
    rows = await repo.add_jobs(session, [JobSpec(task_identifier="a"), send_email.spec(Email(to="a"))])
    assert_type(rows, list[JobRow])
    assert_type(await repo.add_jobs(session, [], return_rows=False, on_progress=print), int)
    await repo.list_jobs(session, state=JobState.READY)


def add_sync(session: Session, scoped: scoped_session[Session]) -> None:
    assert_type(sync_repo.add_job(session, send_email, Email(to="a"), queue_name="q"), JobRow)
    sync_repo.add_job(scoped, make_report, Report(2026), job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)
    sync_repo.add_job(session, tick)
    sync_repo.add_job(session, "task_of_a_node_worker", {"id": 1})
    assert_type(sync_repo.add_jobs(session, [send_email.spec(Email(to="a"))]), list[JobRow])
    assert_type(sync_repo.add_jobs(session, [], return_rows=False), int)


def add_on_commit(session: AsyncSession, sync_session: Session) -> None:
    pending = repo.add_job_on_commit(session, send_email, Email(to="a"), queue_name="q")
    assert_type(pending, PendingJob)
    assert_type(pending.job, JobRow)
    repo.add_job_on_commit(session, send_email, lambda: Email(to="a"))
    repo.add_job_on_commit(sync_session, tick, priority=1)
    sync_repo.add_job_on_commit(session, import_rows, lambda: [1, 2])
    sync_repo.add_job_on_commit(sync_session, "task_of_a_node_worker", lambda: {"id": 1})


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


def declare() -> None:
    rules = ModelJobs(repo)
    rules.on_insert(User, send_email, lambda user: Email(to=user.email))
    rules.on_insert(User, send_email, ["email", User.id], options={"queue_name": "mail"})
    rules.on_insert(User, tick)
    rules.on_update(User, "task_of_a_node_worker", lambda user: {"id": user.id}, columns=[User.email])
    rules.on_delete(User, send_email, ["email"], options=lambda user: {"job_key": f"forget-{user.id}"})


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


class Client:
    """A resource."""


@tasks.resource
async def client() -> AsyncIterator[Client]:
    yield Client()


@tasks.task("charge", transactional=True)
async def charge(payload: Email, session: SqlalchemySession) -> None: ...


@tasks.task("look")
async def look(ctx: JobContext, session: AsyncSession, payload: Email, client: Client) -> None: ...


@tasks.task("sweep")
async def sweep(session: AsyncSession, ctx: JobContext) -> None: ...


@tasks.task("fetch")
async def fetch(payload: Email, client: Client, *, other: Client) -> None: ...


@tasks.task("ping")
async def ping(*, client: Client) -> None: ...


@tasks.task("ping_in_session")
async def ping_in_session(session: AsyncSession, *, client: Client) -> None: ...


@tasks.task("crunch", run_in="process", timeout=timedelta(seconds=5))
def crunch(payload: list[int]) -> None: ...


def given() -> None:
    assert_type(charge, Task[Email])
    assert_type(look, Task[Email])
    assert_type(sweep, Task[None])
    assert_type(fetch, Task[Email])
    assert_type(ping, Task[None])
    assert_type(ping_in_session, Task[None])
    assert_type(crunch, Task[list[int]])


class Bill(BaseModel):
    customer: int


def by_error(attempts: int, error: BaseException | None) -> timedelta:
    return timedelta(seconds=attempts)


@tasks.task(
    "bill",
    max_attempts=5,
    queue_name=lambda payload: f"customer {payload.customer}",
    job_key="bill",
    flags=["money"],
    backoff=by_error,
)
async def bill(payload: Bill) -> None: ...


@tasks.task("bill again", backoff=lambda attempts: timedelta(seconds=attempts))
async def bill_again(payload: Bill) -> None: ...


assert_type(bill, Task[Bill])
