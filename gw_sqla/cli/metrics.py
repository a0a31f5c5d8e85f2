"""``metrics``: the exporter, which reads the figures of the whole queue for Prometheus, without a worker."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.http_option import http_option, require_prometheus
from gw_sqla.cli.log_setup import set_up_log
from gw_sqla.cli.options import (
    EXIT_CODES,
    database_url_option,
    debug_option,
    log_format_option,
    log_level_option,
    option,
    schema_option,
)
from gw_sqla.worker.signals import STOP_SIGNALS

__all__ = ["command"]

log = logging.getLogger(__name__)


@click.command(epilog=EXIT_CODES)
@database_url_option()
@schema_option
@http_option(default="127.0.0.1:9187")
@option(
    "--interval",
    type=click.FloatRange(0, 86_400),
    default=10.0,
    metavar="SECONDS",
    help="For how long the figures are kept, however often they are asked for.",
)
@option("--most-tasks", type=click.IntRange(1, 1000), default=100, metavar="N", help="Tasks with figures of their own.")
@option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", help="The event loop.")
@log_level_option
@log_format_option
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    http: str,
    interval: float,
    most_tasks: int,
    backend: str,
    log_level: str,
    log_format: str,
) -> None:
    """Serve the figures of the whole queue at /metrics, until a signal.

    Workers do so too, one at a time, with --http; this is for queues whose workers are elsewhere, or are none of
    gw_sqla's. /healthz says that it runs, /readyz that the database answers. Needs the extra gw-sqla[prometheus], and a
    role that may read (grants --as reader).
    """
    set_up_log(log_level, log_format, with_process=False)
    require_prometheus("metrics")
    anyio.run(partial(_export, database_url, schema, http, timedelta(seconds=interval), most_tasks), backend=backend)


async def _export(url: URL, schema: str, http: str, interval: timedelta, most_tasks: int) -> None:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    from gw_sqla.telemetry.addresses import Address, listen, port_of
    from gw_sqla.telemetry.fleet_figures import FleetFigures
    from gw_sqla.telemetry.http_server import Answer, serve
    from gw_sqla.telemetry.worker_endpoints import verdict

    address = Address.parse(http)
    try:
        listeners = await listen(address)
    except OSError as error:
        raise click.ClickException(f"--http: cannot listen at {address}: {error.strerror or error}") from error
    async with connected(url, pool_size=1) as engine:
        fleet = FleetFigures(engine, schema, interval=interval, most_tasks=most_tasks, alone=True)
        registry = CollectorRegistry()
        registry.register(fleet)

        async def metrics() -> Answer:
            await fleet.refresh()
            return Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)

        async def healthz() -> Answer:
            return verdict([])

        async def readyz() -> Answer:
            await fleet.refresh()
            return verdict([] if fleet.is_up else ["the database does not answer; the log says why"])

        routes = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}
        log.info("metrics at http://%s/metrics", Address(address.host, port_of(listeners)))
        try:
            async with anyio.create_task_group() as serving:
                serving.start_soon(serve, listeners, routes, name="gw_sqla HTTP")
                with anyio.open_signal_receiver(*STOP_SIGNALS) as received:
                    async for _ in received:
                        break
                serving.cancel_scope.cancel()
        finally:
            await fleet.close()
