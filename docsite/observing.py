"""The pages of events and of metrics: from the dataclasses and methods, and from the registries that are scraped."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields

from prometheus_client import CollectorRegistry, Metric
from sqlalchemy.ext.asyncio import create_async_engine

from docsite.markup import code, table, title
from gw_sqla import Observer
from gw_sqla.admin import Count, Fleet, ReadyTask
from gw_sqla.hooks.events import METHODS
from gw_sqla.jobs.outcomes import CompletedByHandler, Kept
from gw_sqla.telemetry import FleetFigures, PrometheusMetrics
from gw_sqla.types import JobState

__all__ = ["Family", "events_page", "metrics", "metrics_page"]


def events_page() -> str:
    """Return the page of the events, in the order of a worker's life."""
    text = "A method of an :py:class:`gw_sqla.Observer`, ``def`` or ``async def``, is given the event of its line."
    rows = []
    for kind, method in METHODS.items():
        if kind not in {CompletedByHandler, Kept}:  # to users each is a Completed
            told = " ".join((inspect.getdoc(getattr(Observer, method)) or "").split())
            names = ", ".join(code(field.name) for field in fields(kind))
            rows.append((f":py:class:`gw_sqla.{kind.__name__}`", code(method), names, told))
    return title("Events", text) + table(("event", "method", "fields", "when"), rows)


@dataclass(frozen=True)
class Family:
    """A family of metrics, by the name that a scrape has."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def metrics() -> list[Family]:
    """Return the families of metrics: of a worker, then of the queue as a whole."""
    registry = CollectorRegistry()
    PrometheusMetrics(registry=registry)
    declared = registry._names_to_collectors
    found = [_family(metric, declared[metric.name]._labelnames) for metric in registry.collect()]  # type: ignore[attr-defined]
    return found + [_family(metric, _labels(metric)) for metric in _all_figures().collect()]


def _all_figures() -> FleetFigures:
    """Return the figures of the queue as if they had been read, so that all families are there."""
    figures = FleetFigures(create_async_engine("postgresql+asyncpg://"))
    count = Count(0)
    figures.is_up = True
    figures._fleet = Fleet(
        states=dict.fromkeys(JobState, count),
        oldest_ready_seconds=0.0,
        tasks=(ReadyTask("any", count, 0.0, 0),),
        workers=0,
        slots=0,
        dead_workers=0,
        foreign_owners=0,
    )
    return figures


def _family(metric: Metric, labels: tuple[str, ...]) -> Family:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return Family(name, metric.type, labels, metric.documentation)


def _labels(metric: Metric) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for sample in metric.samples for label in sample.labels))


def metrics_page() -> str:
    """Return the page of the metrics."""
    text = (
        "Those whose names begin with ``gw_sqla_queue``, ``gw_sqla_task`` and ``gw_sqla_workers``, and "
        "``gw_sqla_foreign_lock_owners``, are of the whole queue, the others of one worker."
    )
    rows = [(code(one.name), one.kind, ", ".join(map(code, one.labels)), one.text) for one in metrics()]
    return title("Metrics", text) + table(("metric", "kind", "labels", "what it says"), rows)
