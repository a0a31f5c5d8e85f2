"""A worker that is seen from outside: an observer, interceptors, metrics and traces.

    pip install 'gw-sqla[prometheus,opentelemetry]' opentelemetry-sdk
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    cd examples
    python observed_service.py 20                      # adds 20 orders
    python -m gw_sqla worker --app observed_service:application --http 127.0.0.1:9000

http://127.0.0.1:9000/metrics is for Prometheus, /healthz and /readyz are for Kubernetes; observing/ has a dashboard for
Grafana, and alerts. ``--processes 2`` is all that it takes to run two of them behind one port.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import (
    Application,
    CallNext,
    ClaimedJob,
    DatabaseFault,
    Failed,
    FailPermanently,
    Interceptor,
    InvalidJobError,
    JobContext,
    JobRepository,
    JobSpec,
    Observer,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    parse_url,
)
from gw_sqla.telemetry import OpenTelemetryTracing

log = logging.getLogger("shop")
tasks = TaskRegistry()
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Order(BaseModel):
    """What there is to be paid."""

    tenant: str
    cents: int


@tasks.task("charge", max_attempts=5)
async def charge(order: Order, ctx: JobContext) -> None:
    """Charge, then have a receipt sent: the span of this job is where that one comes from."""
    await anyio.sleep(order.cents % 100 / 1000)
    if order.cents % 10 == 3 and ctx.job.attempts == 1:
        raise ConnectionError("the bank does not answer")
    if order.cents > 100_000:
        raise FailPermanently("too much for a card")
    await ctx.add_job(receipt, order)


@tasks.task("receipt")
def receipt(order: Order) -> None:
    """In a thread; it knows the tenant all the same."""
    log.info("a receipt over %d cents for a customer of %s", order.cents, tenant.get())


@tasks.cron("* * * * *", payload={"tenant": "acme"})
@tasks.task("tidy")
async def tidy() -> None:
    """Each minute; how late it is seen is one of the metrics."""


class Alarm(Observer):
    """Tells people; each method is a ``def``, called in a thread, so it may call what blocks."""

    def job_failed(self, event: Failed) -> None:
        """Tell of what nobody will try again."""
        if event.is_final:
            log.error("ALARM: job %d (%s) is given up: %s", event.job.id, event.job.task_identifier, event.message)

    def database_fault(self, event: DatabaseFault) -> None:
        """Tell of an outage, once."""
        log.error("ALARM: %s: %s", event.doing, event.reason)


class Tenants(Interceptor):
    """Lets whatever runs within a job know whose it is; refuses jobs of nobody's."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        """Set the tenant, for the handler and its thread."""
        token = tenant.set(job.payload["tenant"])
        try:
            return await call_next(job)
        finally:
            tenant.reset(token)

    def add_job(self, spec: JobSpec) -> JobSpec:
        """Refuse a job without a tenant; a tenant's jobs share what room there is."""
        if not isinstance(spec.payload, dict) or not spec.payload.get("tenant"):
            raise InvalidJobError("payload", "has no tenant")
        return replace(spec, priority=10) if spec.payload["tenant"] == "slow & cheap" else spec


trace.set_tracer_provider(TracerProvider())  # yours has a processor, which sends spans to a collector
interceptors: Sequence[Interceptor] = (OpenTelemetryTracing(), Tenants())
repository = JobRepository(interceptors=interceptors)
application = Application(
    tasks,
    observers=[Alarm()],
    interceptors=interceptors,
    settings=RunnerSettings(concurrency=8, prefetch=50),
)


async def add_orders(count: int) -> None:
    """What a request handler of the service's would do, once for each order."""
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    async with async_sessionmaker(engine).begin() as session:
        for number in range(count):
            order = Order(tenant=("acme", "slow & cheap")[number % 2], cents=101 * number % 100_050)
            with trace.get_tracer("shop").start_as_current_span("an order"):
                await repository.add_job(session, charge, order)
    await engine.dispose()
    print(f"added {count} orders")


if __name__ == "__main__":
    anyio.run(add_orders, int(sys.argv[1]))
