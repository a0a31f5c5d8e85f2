"""An application with hooks and settings, as the command line's tests name it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from gw_sqla import (
    Application,
    CallNext,
    ClaimedJob,
    Completed,
    Interceptor,
    JobContext,
    JobSpec,
    Observer,
    RunnerSettings,
    TaskRegistry,
)

tasks = TaskRegistry()
TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody")


@tasks.task("whose")
async def whose(payload: str, ctx: JobContext) -> None:
    """Log what the test looks for."""
    ctx.logger.info("%s is run for %s", payload, TENANT.get())


class Tell(Observer):
    """Prints what has completed; in a thread."""

    def job_completed(self, event: Completed) -> None:
        print(f"observed: {event.job.task_identifier} in {event.seconds >= 0}", flush=True)


class Tenant(Interceptor):
    """Knows a tenant, and marks what is added."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        token = TENANT.set("somebody")
        try:
            return await call_next(job)
        finally:
            TENANT.reset(token)

    def add_job(self, spec: JobSpec) -> JobSpec:
        return replace(spec, payload=f"marked {spec.payload}")


application = Application(
    tasks, observers=[Tell()], interceptors=[Tenant()], settings=RunnerSettings(concurrency=3, prefetch=2)
)
other_schema = Application(tasks, settings=RunnerSettings(schema="elsewhere"))
