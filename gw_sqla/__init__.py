"""A PostgreSQL job queue for SQLAlchemy, in the Graphile Worker schema, on asyncio and on trio.

Add jobs with `JobRepository` inside your own transaction (`SyncJobRepository` for a sync Session, `ModelJobs` for
ORM events); declare what runs them in a `TaskRegistry`; run them with a `Runner`, or with ``python -m gw_sqla worker``.

A name's module is imported when the name is used first: a program pays for what it uses, and the command line
decides how its modules are imported (`gw_sqla.cli.startup_imports`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gw_sqla.application import Application
    from gw_sqla.crontab import CronItem, parse_crontab, read_crontab, render_crontab
    from gw_sqla.database.event_loops import call_asyncio, database_loop
    from gw_sqla.database.session import AsyncAttrs, AsyncSession, async_sessionmaker
    from gw_sqla.database.url import parse_url
    from gw_sqla.errors import (
        AccessError,
        ConfigurationError,
        CrontabError,
        CrontabProblem,
        ExecutableFailedError,
        FailPermanently,
        GwSqlaError,
        InvalidFilterError,
        InvalidJobError,
        InvalidPayloadError,
        JobFailedError,
        JobNotAddedError,
        JobTesterError,
        LockLostError,
        LoopError,
        ReadTimeoutError,
        ResourceError,
        RetryAfter,
        SchemaBehindError,
        SchemaError,
        SchemaInUseError,
        SchemaLockedError,
        SchemaMissingError,
        SchemaTooNewError,
        SchemaTooOldError,
        SessionError,
        SinkUnavailableError,
        Snooze,
        TaskDefinitionError,
    )
    from gw_sqla.execution.current_job import CurrentJob, JobLogFilter, current_job
    from gw_sqla.execution.executable_tasks import load_executable_tasks
    from gw_sqla.execution.job_context import JobContext
    from gw_sqla.execution.task_registry import TaskRegistry
    from gw_sqla.hooks.events import (
        CronJobsScheduled,
        CronTick,
        DatabaseFault,
        DatabaseFaultOver,
        Event,
        HeartbeatSent,
        JobsClaimed,
        JobsRecovered,
        JobStarted,
        ListenerLost,
        ListenerUp,
        LockLost,
        OutcomesWritten,
        StaleLocksFreed,
        Swept,
        WorkerStarted,
        WorkerStopped,
        WorkerStopping,
    )
    from gw_sqla.hooks.interceptor import SKIP, CallNext, Interceptor
    from gw_sqla.hooks.observer import Observer
    from gw_sqla.jobs.claimed_job import ClaimedJob
    from gw_sqla.jobs.job_spec import JobSpec
    from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned, Snoozed
    from gw_sqla.jobs.pause import PauseSeen
    from gw_sqla.jobs.stored_job import JobDetails, JobRow
    from gw_sqla.jobs.task import Task
    from gw_sqla.model_jobs import ModelJobs
    from gw_sqla.repository import JobRepository
    from gw_sqla.runner import Runner
    from gw_sqla.schema.migrations import migrate
    from gw_sqla.settings import RunnerSettings
    from gw_sqla.sync_repository import SyncJobRepository
    from gw_sqla.types import JSON, JobKeyMode, JobState
    from gw_sqla.unit_of_work.pending_job import PendingJob
    from gw_sqla.worker.worker_pool import RunCounts

__all__ = [
    "JSON",
    "SKIP",
    "AccessError",
    "Application",
    "AsyncAttrs",
    "AsyncSession",
    "CallNext",
    "ClaimedJob",
    "Completed",
    "ConfigurationError",
    "CronItem",
    "CronJobsScheduled",
    "CronTick",
    "CrontabError",
    "CrontabProblem",
    "CurrentJob",
    "DatabaseFault",
    "DatabaseFaultOver",
    "Event",
    "ExecutableFailedError",
    "FailPermanently",
    "Failed",
    "GwSqlaError",
    "HeartbeatSent",
    "Interceptor",
    "InvalidFilterError",
    "InvalidJobError",
    "InvalidPayloadError",
    "JobContext",
    "JobDetails",
    "JobFailedError",
    "JobKeyMode",
    "JobLogFilter",
    "JobNotAddedError",
    "JobRepository",
    "JobRow",
    "JobSpec",
    "JobStarted",
    "JobState",
    "JobTesterError",
    "JobsClaimed",
    "JobsRecovered",
    "ListenerLost",
    "ListenerUp",
    "LockLost",
    "LockLostError",
    "LoopError",
    "ModelJobs",
    "Observer",
    "Outcome",
    "OutcomesWritten",
    "PauseSeen",
    "PendingJob",
    "ReadTimeoutError",
    "ResourceError",
    "RetryAfter",
    "Returned",
    "RunCounts",
    "Runner",
    "RunnerSettings",
    "SchemaBehindError",
    "SchemaError",
    "SchemaInUseError",
    "SchemaLockedError",
    "SchemaMissingError",
    "SchemaTooNewError",
    "SchemaTooOldError",
    "SessionError",
    "SinkUnavailableError",
    "Snooze",
    "Snoozed",
    "StaleLocksFreed",
    "Swept",
    "SyncJobRepository",
    "Task",
    "TaskDefinitionError",
    "TaskRegistry",
    "WorkerStarted",
    "WorkerStopped",
    "WorkerStopping",
    "async_sessionmaker",
    "call_asyncio",
    "current_job",
    "database_loop",
    "load_executable_tasks",
    "migrate",
    "parse_crontab",
    "parse_url",
    "read_crontab",
    "render_crontab",
]

_HOMES = {
    name: f"gw_sqla.{module}"
    for module, names in {
        "application": "Application",
        "crontab": "CronItem parse_crontab read_crontab render_crontab",
        "database.event_loops": "call_asyncio database_loop",
        "database.session": "AsyncAttrs AsyncSession async_sessionmaker",
        "database.url": "parse_url",
        "errors": (
            "AccessError ConfigurationError CrontabError CrontabProblem ExecutableFailedError FailPermanently "
            "GwSqlaError InvalidFilterError InvalidJobError InvalidPayloadError JobFailedError JobNotAddedError "
            "JobTesterError LockLostError LoopError ReadTimeoutError ResourceError RetryAfter SchemaBehindError "
            "SchemaError SchemaInUseError SchemaLockedError SchemaMissingError SchemaTooNewError SchemaTooOldError "
            "SessionError SinkUnavailableError Snooze TaskDefinitionError"
        ),
        "execution.current_job": "CurrentJob JobLogFilter current_job",
        "execution.executable_tasks": "load_executable_tasks",
        "execution.job_context": "JobContext",
        "execution.task_registry": "TaskRegistry",
        "hooks.events": (
            "CronJobsScheduled CronTick DatabaseFault DatabaseFaultOver Event HeartbeatSent JobStarted JobsClaimed "
            "JobsRecovered ListenerLost ListenerUp LockLost OutcomesWritten StaleLocksFreed Swept WorkerStarted "
            "WorkerStopped WorkerStopping"
        ),
        "hooks.interceptor": "SKIP CallNext Interceptor",
        "hooks.observer": "Observer",
        "jobs.claimed_job": "ClaimedJob",
        "jobs.job_spec": "JobSpec",
        "jobs.outcomes": "Completed Failed Outcome Returned Snoozed",
        "jobs.pause": "PauseSeen",
        "jobs.stored_job": "JobDetails JobRow",
        "jobs.task": "Task",
        "model_jobs": "ModelJobs",
        "repository": "JobRepository",
        "runner": "Runner",
        "schema.migrations": "migrate",
        "settings": "RunnerSettings",
        "sync_repository": "SyncJobRepository",
        "types": "JSON JobKeyMode JobState",
        "unit_of_work.pending_job": "PendingJob",
        "worker.worker_pool": "RunCounts",
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
