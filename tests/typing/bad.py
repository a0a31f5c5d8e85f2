"""Uses of gw_sqla that mypy and pyright must refuse, each line that is marked; checked by check.py."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobSpec,
    ModelJobs,
    Runner,
    RunnerSettings,
    SyncJobRepository,
    TaskRegistry,
)

tasks = TaskRegistry()
repo = JobRepository()
sync_repo = SyncJobRepository()


class Email(BaseModel):
    to: str


@tasks.task("send_email")
async def send_email(payload: Email) -> None: ...


@tasks.task("tick")
async def tick() -> None: ...


async def add(session: AsyncSession) -> None:
    await repo.add_job(session, send_email, {"to": "a"})  # error: a dict is not the model
    await repo.add_job(session, send_email)  # error: no payload
    await repo.add_job(session, tick, 1)  # error: the handler takes no payload
    await repo.add_job(send_email, Email(to="a"))  # error: no session
    await repo.add_job(session, "other", {}, run_at="tomorrow")  # error: not a datetime
    await repo.add_job(session, "other", {}, queue="q")  # error: unknown option
    await repo.add_job(session, "other", {}, job_key="k", job_key_mode=1)  # error: not a JobKeyMode
    await repo.add_jobs(session, ["other"])  # error: not a JobSpec
    len(await repo.add_jobs(session, [], return_rows=False))  # error: an int
    print(repo.add_job(session, "other").id)  # error: not awaited
    send_email.spec(1)  # error: not the model
    JobSpec(task_identifier=1)  # error: not a str


def add_sync(session: Session, asynchronous: AsyncSession) -> None:
    sync_repo.add_job(session, send_email, {"to": "a"})  # error: a dict is not the model
    sync_repo.add_job(session, send_email)  # error: no payload
    sync_repo.add_job(asynchronous, "other")  # error: an AsyncSession
    sync_repo.add_job(session, "other", {}, queue="q")  # error: unknown option


def add_on_commit(session: AsyncSession) -> None:
    repo.add_job_on_commit(session, send_email, {"to": "a"})  # error: a dict is not the model
    repo.add_job_on_commit(session, send_email, lambda: {"to": "a"})  # error: the function returns a dict
    repo.add_job_on_commit(session, send_email)  # error: no payload
    repo.add_job_on_commit(session, "other", run_at="tomorrow")  # error: not a datetime
    print(repo.add_job_on_commit(session, "other").id)  # error: a handle, not the job


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)


def declare(rules: ModelJobs) -> None:
    rules.on_insert(User, send_email, lambda _user: {"to": "a"})  # error: the function returns a dict
    rules.on_insert(User, send_email, lambda user: Email(to=user.email))  # error: a User has no email
    rules.on_update(User, "other", columns=[5])  # error: not a column
    rules.on_delete(User, "other", options={"queue": "q"})  # error: unknown option


def run(engine: AsyncEngine) -> None:
    Runner(engine, send_email)  # error: not a registry
    RunnerSettings(poll_interval=2)  # error: not a timedelta


tasks.task("late", max_attempts="5")  # error: a text
tasks.task("late", queue_name=7)  # error: neither a text nor a function
tasks.task("late", backoff=lambda: None)  # error: takes nothing
