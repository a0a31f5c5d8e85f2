"""What monitoring sees of a queue and its workers: metrics, health, traces. docs/metrics.md and docs/tracing.md.

A name's module is imported when the name is used first: they need the extras ``prometheus`` and ``opentelemetry``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gw_sqla.telemetry.fleet_figures import FleetFigures
    from gw_sqla.telemetry.opentelemetry_tracing import OpenTelemetryTracing, trace_setting
    from gw_sqla.telemetry.prometheus_metrics import PrometheusMetrics
    from gw_sqla.telemetry.worker_endpoints import serve_http
    from gw_sqla.telemetry.worker_health import WorkerHealth

__all__ = [
    "FleetFigures",
    "OpenTelemetryTracing",
    "PrometheusMetrics",
    "WorkerHealth",
    "serve_http",
    "trace_setting",
]

_HOMES = {
    "FleetFigures": "gw_sqla.telemetry.fleet_figures",
    "OpenTelemetryTracing": "gw_sqla.telemetry.opentelemetry_tracing",
    "PrometheusMetrics": "gw_sqla.telemetry.prometheus_metrics",
    "WorkerHealth": "gw_sqla.telemetry.worker_health",
    "serve_http": "gw_sqla.telemetry.worker_endpoints",
    "trace_setting": "gw_sqla.telemetry.opentelemetry_tracing",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gw_sqla.telemetry' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
