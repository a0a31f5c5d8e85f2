"""Declarative models of the worker schema, for reading and for joining in your own queries.

They have a MetaData of their own, so that autogenerate of a user's models never sees them. Write
through `gw_sqla.JobRepository`: a plain INSERT would skip the task, the queue and the NOTIFY, and an
UPDATE can take a job from a running worker. Columns, names and types are the contract's.

Another schema name: give the engine or the statement SQLAlchemy's own option, for example
``create_async_engine(url, execution_options=schema_option("jobs"))``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Computed,
    DateTime,
    FetchedValue,
    Identity,
    Integer,
    MetaData,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship, remote

from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["Job", "JobQueue", "JobView", "KnownCrontab", "Task", "WorkerBase", "schema_option"]


def schema_option(schema: str) -> dict[str, Any]:
    """Return the execution option that makes the models read from the schema of this name."""
    return {"schema_translate_map": {DEFAULT_SCHEMA: schema}}


class WorkerBase(DeclarativeBase):
    """Base of the models; its MetaData holds nothing else."""

    metadata = MetaData(schema=DEFAULT_SCHEMA)
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text}  # noqa: RUF012 - declared so by SQLAlchemy


class Task(WorkerBase):
    """A task identifier that was used once (``_private_tasks``)."""

    __tablename__ = "_private_tasks"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    identifier: Mapped[str] = mapped_column(unique=True)

    jobs: Mapped[list[Job]] = relationship(
        primaryjoin=lambda: Task.id == foreign(remote(Job.task_id)), back_populates="task", viewonly=True
    )


class JobQueue(WorkerBase):
    """A named queue: its jobs run one at a time (``_private_job_queues``)."""

    __tablename__ = "_private_job_queues"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    queue_name: Mapped[str] = mapped_column(unique=True)
    locked_at: Mapped[datetime | None]
    locked_by: Mapped[str | None]
    is_available: Mapped[bool] = mapped_column(Boolean, Computed("locked_at is null", persisted=True))

    jobs: Mapped[list[Job]] = relationship(
        primaryjoin=lambda: JobQueue.id == foreign(remote(Job.job_queue_id)), back_populates="queue", viewonly=True
    )


class Job(WorkerBase):
    """A job (``_private_jobs``)."""

    __tablename__ = "_private_jobs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_queue_id: Mapped[int | None] = mapped_column(Integer)
    task_id: Mapped[int] = mapped_column(Integer)
    payload: Mapped[Any] = mapped_column(JSON, nullable=False, server_default=FetchedValue())
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=FetchedValue())
    run_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=FetchedValue())
    max_attempts: Mapped[int] = mapped_column(SmallInteger, server_default=FetchedValue())
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    key: Mapped[str | None] = mapped_column(unique=True)
    locked_at: Mapped[datetime | None]
    locked_by: Mapped[str | None]
    revision: Mapped[int] = mapped_column(Integer, server_default=FetchedValue())
    flags: Mapped[dict[str, bool] | None] = mapped_column(JSONB)
    is_available: Mapped[bool] = mapped_column(
        Boolean, Computed("locked_at is null and attempts < max_attempts", persisted=True)
    )

    task: Mapped[Task] = relationship(
        primaryjoin=lambda: foreign(Job.task_id) == Task.id, back_populates="jobs", viewonly=True
    )
    queue: Mapped[JobQueue | None] = relationship(
        primaryjoin=lambda: foreign(Job.job_queue_id) == JobQueue.id, back_populates="jobs", viewonly=True
    )


class JobView(WorkerBase):
    """The view ``jobs``: the peers' stable read interface, without payloads. Read only."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    queue_name: Mapped[str | None]
    task_identifier: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    run_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(SmallInteger)
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    key: Mapped[str | None]
    locked_at: Mapped[datetime | None]
    locked_by: Mapped[str | None]
    revision: Mapped[int] = mapped_column(Integer)
    flags: Mapped[dict[str, bool] | None] = mapped_column(JSONB)


class KnownCrontab(WorkerBase):
    """A cron item that some worker has scheduled (``_private_known_crontabs``)."""

    __tablename__ = "_private_known_crontabs"

    identifier: Mapped[str] = mapped_column(primary_key=True)
    known_since: Mapped[datetime]
    last_execution: Mapped[datetime | None]
