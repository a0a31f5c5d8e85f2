"""The measures of what is large: how many queues, tasks and bytes there are, beside Graphile Worker on the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.app import TASKS_VARIABLE
from benchmarks.contenders import GRAPHILE_BEST, graphile, ours_once
from benchmarks.database import SCHEMA, Database
from benchmarks.rates import Rate, measure
from benchmarks.throughput import FAST, Aim, burdened, ready, report, shown

__all__ = ["big_payload", "idle_queues", "many_queues", "many_tasks"]

IDLE = 1_000_000
TASKS = 1_000


def idle_queues(database: Database, runs: int) -> dict[str, Any]:
    """1,000,000 rows of queues without a job, beside 100,000 jobs without a queue."""

    def empty() -> None:
        database.run(f"truncate {SCHEMA}._private_jobs")

    @contextmanager
    def rows() -> Iterator[None]:
        database.empty()
        queues = f"select 'customer:' || i from generate_series(1, {IDLE}) i"
        database.run(f"insert into {SCHEMA}._private_job_queues (queue_name) {queues}")
        database.settle()
        yield

    contenders = {ours_once(*FAST): 100_000, graphile(GRAPHILE_BEST, name="graphile best"): 50_000}
    return burdened(database, runs, contenders, rows, aim="to the rate without them", empty=empty)


def many_queues(database: Database, runs: int) -> dict[str, Any]:
    """100,000 queues with one job each, against as many jobs without a queue; 20,000 for Graphile Worker."""

    def queued(count: int) -> list[str]:
        return [
            f"select 'trivial', json_build_object('id', i), 'customer:' || i, now() from generate_series(1, {count}) i"
        ]

    contenders = {ours_once(*FAST): 100_000, graphile(GRAPHILE_BEST, name="graphile best"): 20_000}
    queues: dict[str, Rate] = {}
    without: dict[str, Rate] = {}
    for _ in range(runs):
        measure(database, contenders, queued, runs=1, rates=queues)
        measure(database, contenders, ready, runs=1, rates=without)
    mine = queues["gw_sqla"].per_second
    return report(
        {"queues": shown(queues), "without": shown(without)},
        Aim("to the rate without", mine / without["gw_sqla"].per_second, at_least=0.7),
        Aim("to graphile best", mine / queues["graphile best"].per_second, at_least=1.0),
    )


def many_tasks(database: Database, runs: int) -> dict[str, Any]:
    """1,000 tasks, each with as many jobs as the others, against one task."""

    def of_tasks(count: int) -> list[str]:
        return [
            f"select 'task ' || (i % {TASKS}), json_build_object('id', i), null::text, now() "
            f"from generate_series(1, {count}) i"
        ]

    contenders = {ours_once(*FAST): 100_000, graphile(GRAPHILE_BEST, name="graphile best"): 50_000}
    identifiers = f"select 'task ' || i from generate_series(0, {TASKS - 1}) i"
    database.run(f"insert into {SCHEMA}._private_tasks (identifier) {identifiers} on conflict do nothing")
    one: dict[str, Rate] = {}
    many: dict[str, Rate] = {}
    for _ in range(runs):
        measure(database, contenders, ready, runs=1, rates=one)
        os.environ[TASKS_VARIABLE] = str(TASKS)
        try:
            measure(database, contenders, of_tasks, runs=1, rates=many)
        finally:
            del os.environ[TASKS_VARIABLE]
    mine = many["gw_sqla"].per_second
    return report(
        {"many": shown(many), "one": shown(one)},
        Aim("to the rate with one task", mine / one["gw_sqla"].per_second, at_least=0.9),
        Aim("to graphile best", mine / many["graphile best"].per_second, at_least=1.0),
    )


def big_payload(database: Database, runs: int) -> dict[str, Any]:
    """Payloads of 10 KiB that hardly compress."""

    def big(count: int) -> list[str]:
        text = "(select string_agg(md5((i * 1000 + k)::text), '') from generate_series(1, 320) k)"
        return [
            f"select 'big', json_build_object('id', i, 'text', {text}), null::text, now() "
            f"from generate_series(1, {count}) i"
        ]

    contenders = {ours_once(*FAST): 20_000, graphile(GRAPHILE_BEST, name="graphile best"): 20_000}
    rates = measure(database, contenders, big, runs=runs)
    mine = rates["gw_sqla"].per_second
    return report(shown(rates), Aim("to graphile best", mine / rates["graphile best"].per_second, at_least=1.0))
