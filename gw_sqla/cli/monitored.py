"""``worker --http``: the observers of a worker that answers those who monitor it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.application import Application
from gw_sqla.hooks.observer import Observer
from gw_sqla.settings import RunnerSettings

__all__ = ["monitored"]


@asynccontextmanager
async def monitored(
    http: str, application: Application, engine: AsyncEngine, settings: RunnerSettings
) -> AsyncIterator[Sequence[Observer]]:
    """Answer while the block runs; yield the application's observers, and one that knows what to answer.

    ``http``: an address, or in a process of a supervisor's the path of its socket. An application that has
    PrometheusMetrics of its own keeps them.
    """
    from gw_sqla.telemetry.addresses import Address
    from gw_sqla.telemetry.fleet_figures import FleetFigures
    from gw_sqla.telemetry.prometheus_metrics import PrometheusMetrics
    from gw_sqla.telemetry.worker_endpoints import endpoints, serving

    own = [one for one in application.observers if isinstance(one, PrometheusMetrics)]
    fleet = None
    if not own:
        fleet = FleetFigures(engine, settings.schema, transaction_pooler=settings.transaction_pooler)
    metrics = own[0] if own else PrometheusMetrics(settings, fleet=fleet)
    observers = application.observers if own else [*application.observers, metrics]
    address = http if http.startswith("/") else Address.parse(http, "--http")
    try:
        async with serving(address, endpoints(metrics)):
            yield observers
    finally:
        if fleet is not None:
            await fleet.close()
