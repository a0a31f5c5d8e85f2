"""What a worker answers to those who monitor it: ``/metrics``, ``/healthz``, ``/readyz``.

`serve_http` is given the observer that knows, and not the runner: a runner knows nothing of HTTP, and runs without.
It is opened before the runner runs, so that a worker that cannot start is seen not to be ready.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus

from gw_sqla.errors import ConfigurationError
from gw_sqla.telemetry.addresses import Address
from gw_sqla.telemetry.http_server import Answer, Route, serve_patiently
from gw_sqla.telemetry.prometheus_metrics import PrometheusMetrics
from gw_sqla.telemetry.worker_health import WorkerHealth

__all__ = ["endpoints", "serve_http", "verdict"]


@asynccontextmanager
async def serve_http(address: str, health: WorkerHealth) -> AsyncIterator[int]:
    """Answer while the block runs, which runs the runner; yield the port.

    Parameters: ``address``, ``HOST:PORT`` (port 0 is any that is free); ``health``, the observer of the runner:
    `PrometheusMetrics`, or `WorkerHealth` for the probes alone. An address that cannot be had is logged, and tried
    again every few seconds; it yields 0 then. Raises ConfigurationError for what is no address. A cancellation ends it.
    """
    if not isinstance(health, WorkerHealth):
        raise ConfigurationError(f"health: must be PrometheusMetrics or WorkerHealth, not {type(health).__name__}")
    async with serving(Address.parse(address, "address"), endpoints(health)) as port:
        yield port


@asynccontextmanager
async def serving(address: Address | str, routes: Mapping[str, Route]) -> AsyncIterator[int]:
    """Serve the routes in the background of the block; yield the port. What the block raises stays as it is."""
    left: BaseException | None = None

    async def start(*, task_status: TaskStatus[int]) -> None:
        await serve_patiently(address, routes, ready=task_status)

    async with anyio.create_task_group() as background:
        port = await background.start(start, name="gw_sqla HTTP")
        try:
            yield port
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # must not come out in a group
            left = error
        background.cancel_scope.cancel()
    if left is not None:
        raise left


def endpoints(health: WorkerHealth) -> dict[str, Route]:
    """Return what is answered where."""

    async def healthz() -> Answer:
        return verdict(list(health.not_alive()))

    async def readyz() -> Answer:
        return verdict(list(health.not_ready()))

    routes: dict[str, Route] = {"/healthz": healthz, "/readyz": readyz}
    if isinstance(health, PrometheusMetrics):
        metrics = health

        async def text() -> Answer:
            return Answer(200, await metrics.text(), metrics.content_type)

        routes = {"/metrics": text, **routes}
    return routes


def verdict(problems: list[str]) -> Answer:
    """Return the answer of a probe: 200, or 503 with what is wrong."""
    return Answer(503, "".join(f"{problem}\n" for problem in problems).encode()) if problems else Answer(200, b"ok\n")
