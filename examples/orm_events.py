"""A sync application: sessions on psycopg, jobs that follow its objects, and a worker that runs them.

    pip install . 'psycopg[binary]'            # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python examples/orm_events.py

It makes a table ``example_users`` and drops it again; its jobs have a schema of their own, ``orm_events_jobs``.
"""

from __future__ import annotations

import os

import anyio
from pydantic import BaseModel
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gw_sqla import ModelJobs, Runner, RunnerSettings, SyncJobRepository, TaskRegistry, migrate, parse_url
from gw_sqla.schema.migrations import downgrade

SCHEMA = "orm_events_jobs"
URL = os.environ["DATABASE_URL"]

tasks = TaskRegistry()
jobs = SyncJobRepository(SCHEMA)


class Base(DeclarativeBase):
    """The application's models."""


class User(Base):
    """Somebody with an address."""

    __tablename__ = "example_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    logins: Mapped[int] = mapped_column(default=0)


class VerifyEmail(BaseModel):
    """Payload of the task."""

    user_id: int
    email: str


@tasks.task("verify_email")
def verify_email(payload: VerifyEmail) -> None:
    """Run by the worker."""
    print(f"user {payload.user_id}: is {payload.email} yours?")


def verification(user: User) -> VerifyEmail:
    """Return the payload for a user, whose id is known by then."""
    return VerifyEmail(user_id=user.id, email=user.email)


rules = ModelJobs(jobs)
rules.on_insert(User, verify_email, verification)
rules.on_update(User, verify_email, verification, columns=[User.email])


def work() -> None:
    """Write users; nothing here knows of jobs."""
    engine = create_engine(make_url(URL).set(drivername="postgresql+psycopg"))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        ada, grace = User(email="ada@example.com"), User(email="grace@example.com")
        session.add_all([ada, grace])
        session.commit()  # two users and two jobs, in one transaction

        ada.logins += 1
        grace.email = "grace@example.org"
        session.commit()  # one job: logins are not watched

        ada.email = "oops"
        session.flush()
        session.rollback()  # none
    Base.metadata.drop_all(engine)
    engine.dispose()


async def main() -> None:
    """Do all of it, once."""
    engine = create_async_engine(parse_url(URL))
    await migrate(engine, schema=SCHEMA)
    work()
    counts = await Runner(engine, tasks, RunnerSettings(schema=SCHEMA, concurrency=1)).run_once()
    print(f"{counts.completed} completed, {counts.failed} failed")
    await downgrade(engine, schema=SCHEMA)
    await engine.dispose()


if __name__ == "__main__":
    anyio.run(main)
