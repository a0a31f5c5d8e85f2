"""A PostgreSQL job queue for SQLAlchemy, in the Graphile Worker schema, on asyncio and on trio.

Add jobs with `JobRepository` inside your own transaction (`SyncJobRepository` for a sync Session, `ModelJobs` for
ORM events); declare what runs them in a `TaskRegistry`; run them with a `Runner`, or with ``python -m gw_sqla worker``.

A name's module is imported when the name is used first: a program pays for what it uses, and the command line
decides how its modules are imported (`gw_sqla.cli.imports`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gw_sqla.crontab import CronItem, parse_crontab, read_crontab, render_crontab
    from gw_sqla.driver import call_asyncio, database_loop
    from gw_sqla.errors import (
        AccessError,
        ConfigurationError,
        CrontabError,
        CrontabProblem,
        FailPermanently,
        GwSqlaError,
        InvalidJobError,
        InvalidPayloadError,
        JobNotAddedError,
        LockLostError,
        LoopError,
        SchemaBehindError,
        SchemaError,
        SchemaInUseError,
        SchemaMissingError,
        SchemaTooNewError,
        SchemaTooOldError,
        SessionError,
        TaskDefinitionError,
    )
    from gw_sqla.execution.context import JobContext
    from gw_sqla.execution.registry import TaskRegistry
    from gw_sqla.hooks import Observer
    from gw_sqla.job import ClaimedJob, Completed, Failed, JobDetails, JobRow, JobSpec, Outcome, Returned
    from gw_sqla.migrations import migrate
    from gw_sqla.model_jobs import ModelJobs
    from gw_sqla.pool import RunCounts
    from gw_sqla.repository import JobRepository
    from gw_sqla.runner import Runner
    from gw_sqla.session import AsyncAttrs, AsyncSession, async_sessionmaker
    from gw_sqla.settings import RunnerSettings
    from gw_sqla.sync_repository import SyncJobRepository
    from gw_sqla.task import Task
    from gw_sqla.types import JSON, JobKeyMode, JobState
    from gw_sqla.unit_of_work.pending import PendingJob
    from gw_sqla.url import parse_url

__all__ = [
    "JSON",
    "AccessError",
    "AsyncAttrs",
    "AsyncSession",
    "ClaimedJob",
    "Completed",
    "ConfigurationError",
    "CronItem",
    "CrontabError",
    "CrontabProblem",
    "FailPermanently",
    "Failed",
    "GwSqlaError",
    "InvalidJobError",
    "InvalidPayloadError",
    "JobContext",
    "JobDetails",
    "JobKeyMode",
    "JobNotAddedError",
    "JobRepository",
    "JobRow",
    "JobSpec",
    "JobState",
    "LockLostError",
    "LoopError",
    "ModelJobs",
    "Observer",
    "Outcome",
    "PendingJob",
    "Returned",
    "RunCounts",
    "Runner",
    "RunnerSettings",
    "SchemaBehindError",
    "SchemaError",
    "SchemaInUseError",
    "SchemaMissingError",
    "SchemaTooNewError",
    "SchemaTooOldError",
    "SessionError",
    "SyncJobRepository",
    "Task",
    "TaskDefinitionError",
    "TaskRegistry",
    "async_sessionmaker",
    "call_asyncio",
    "database_loop",
    "migrate",
    "parse_crontab",
    "parse_url",
    "read_crontab",
    "render_crontab",
]

_HOMES = {
    name: f"gw_sqla.{module}"
    for module, names in {
        "crontab": "CronItem parse_crontab read_crontab render_crontab",
        "driver": "call_asyncio database_loop",
        "errors": (
            "AccessError ConfigurationError CrontabError CrontabProblem FailPermanently GwSqlaError "
            "InvalidJobError InvalidPayloadError JobNotAddedError LockLostError LoopError SchemaBehindError "
            "SchemaError SchemaInUseError SchemaMissingError SchemaTooNewError SchemaTooOldError SessionError "
            "TaskDefinitionError"
        ),
        "execution.context": "JobContext",
        "execution.registry": "TaskRegistry",
        "hooks": "Observer",
        "job": "ClaimedJob Completed Failed JobDetails JobRow JobSpec Outcome Returned",
        "migrations": "migrate",
        "model_jobs": "ModelJobs",
        "pool": "RunCounts",
        "repository": "JobRepository",
        "runner": "Runner",
        "session": "AsyncAttrs AsyncSession async_sessionmaker",
        "settings": "RunnerSettings",
        "sync_repository": "SyncJobRepository",
        "task": "Task",
        "types": "JSON JobKeyMode JobState",
        "unit_of_work.pending": "PendingJob",
        "url": "parse_url",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # to a type checker it would make every name one of this module

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gw_sqla' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
