"""Uses of gw_sqla that mypy and pyright must refuse, each line that is marked; checked by check.py."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobSpec, Runner, RunnerSettings, TaskRegistry

tasks = TaskRegistry()
repo = JobRepository()


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
    print(repo.add_job(session, "other").id)  # error: not awaited
    send_email.spec(1)  # error: not the model
    JobSpec(task_identifier=1)  # error: not a str


def run(engine: AsyncEngine) -> None:
    Runner(engine, send_email)  # error: not a registry
    RunnerSettings(poll_interval=2)  # error: not a timedelta
