"""The measures that are rates: each returns what it saw and the ratios that the project aims at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.contenders import (
    GRAPHILE_AHEAD,
    GRAPHILE_BEST,
    GRAPHILE_DEFAULT,
    Contender,
    ceiling,
    graphile,
    ours_once,
)
from benchmarks.database import READY, SCHEMA, Database
from benchmarks.inside import seconds_to_drain
from benchmarks.rates import Rate, measure

__all__ = ["FAST", "Aim", "burdened", "ready", "report", "shown"]

FAST = ("--prefetch", "500")


@dataclass(frozen=True)
class Aim:
    """A ratio that was measured and the bound that it must keep: at least, or at most."""

    name: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    def shown(self) -> dict[str, Any]:
        """Return it for the report."""
        bound = {"at_least": self.at_least} if self.at_least is not None else {"at_most": self.at_most}
        reached = self.ratio >= self.at_least if self.at_least is not None else self.ratio <= (self.at_most or 0)
        return {"ratio": round(self.ratio, 2), **bound, "reached": reached}


def report(details: dict[str, Any], *aims: Aim) -> dict[str, Any]:
    """Return one measure's part of the report."""
    return {"aims": {aim.name: aim.shown() for aim in aims}, "details": details}


def shown(rates: dict[str, Rate]) -> dict[str, Any]:
    """Return the rates for the report."""
    return {name: rate.shown() for name, rate in rates.items()}


def ready(count: int) -> list[str]:
    """Jobs without a queue, all due."""
    return [READY.format(count=count)]


def one_process(database: Database, runs: int) -> dict[str, Any]:
    """One process, 24 slots, 500 jobs ahead."""
    rates = measure(
        database,
        {
            ours_once(*FAST): 200_000,
            graphile(GRAPHILE_BEST, name="graphile best"): 100_000,
            ceiling(1): 200_000,
        },
        ready,
        runs=runs,
    )
    mine = rates["gw_sqla"].per_second
    return report(
        shown(rates),
        Aim("to graphile best", mine / rates["graphile best"].per_second, at_least=2.2),
        Aim("to the ceiling of one connection", mine / rates["ceiling 1"].per_second, at_least=0.85),
    )


def two_processes(database: Database, runs: int) -> dict[str, Any]:
    """Two processes of ours, 2,000 jobs ahead; of Graphile Worker the best of 1, 2, 4, and 2 with such a queue."""
    peers = [graphile(GRAPHILE_BEST, name=f"graphile best x {n}", processes=n) for n in (1, 2, 4)]
    peers.append(graphile(GRAPHILE_AHEAD, name="graphile best x 2, local queue 2,000", processes=2))
    contenders = {
        ours_once("--prefetch", "2000", processes=2): 300_000,
        ours_once(*FAST, processes=2, name="gw_sqla, prefetch 500"): 300_000,
        **dict.fromkeys(peers, 150_000),
        ceiling(2): 300_000,
    }
    rates = measure(database, contenders, ready, runs=runs)
    mine = rates["gw_sqla"].per_second
    best = max(rates[peer.name].per_second for peer in peers)
    return report(
        shown(rates),
        Aim("to graphile at its best", mine / best, at_least=2.0),
        Aim("to the ceiling of two connections", mine / rates["ceiling 2"].per_second, at_least=0.8),
    )


def defaults(database: Database, runs: int) -> dict[str, Any]:
    """Both with their defaults, but 24 slots."""
    rates = measure(
        database,
        {ours_once(): 50_000, graphile(GRAPHILE_DEFAULT, name="graphile defaults"): 10_000},
        ready,
        runs=runs,
    )
    ratio = rates["gw_sqla"].per_second / rates["graphile defaults"].per_second
    return report(shown(rates), Aim("to graphile with defaults", ratio, at_least=4.0))


STUCK = "select 'stuck', '{}'::json, 'stuck ' || (i % 2), now() - interval '1 hour' from generate_series(1, 100000) i"
SCHEDULED = "select 'stuck', '{}'::json, null::text, now() + interval '1 day' from generate_series(1, 1000000) i"
FAILED = "select 'stuck', '{}'::json, null::text, now() - interval '1 hour' from generate_series(1, 100000) i"


def burdened(
    database: Database,
    runs: int,
    contenders: Mapping[Contender, int],
    burden: Callable[[], AbstractContextManager[None]],
    *,
    aim: str,
    empty: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """The rates without and with a burden, in turn; ``empty`` as in `measure`, while the burden is there."""
    alone: dict[str, Rate] = {}
    beside: dict[str, Rate] = {}
    for _ in range(runs):
        measure(database, contenders, ready, runs=1, rates=alone)
        with burden():
            measure(database, contenders, ready, runs=1, rates=beside, empty=empty)
    database.empty()
    ratios = {name: beside[name].per_second / alone[name].per_second for name in alone}
    peers = {f"ratio of {name}": round(ratio, 2) for name, ratio in ratios.items() if name != "gw_sqla"}
    details = {"alone": shown(alone), "beside": shown(beside), **peers}
    return report(details, Aim(aim, ratios["gw_sqla"], at_least=0.9))


def _other_rows(database: Database, *selects: str, then: str) -> Callable[[], AbstractContextManager[None]]:
    """Rows that stay while the contenders remove what is due: added, then changed by a statement."""

    @contextmanager
    def rows() -> Iterator[None]:
        database.empty()
        database.fill(*selects)
        database.run(then)
        database.settle()
        yield

    return rows


def stuck(database: Database, runs: int) -> dict[str, Any]:
    """100,000 jobs behind two locked queues, older than the 50,000 that are ready."""
    lock = f"update {SCHEMA}._private_job_queues set locked_at = now(), locked_by = 'pool-elsewhere'"
    rows = _other_rows(database, STUCK, then=lock)
    contenders = dict.fromkeys([ours_once(*FAST), graphile(GRAPHILE_BEST, name="graphile best")], 50_000)
    return burdened(database, runs, contenders, rows, aim="to the rate without them", empty=lambda: None)


def scheduled(database: Database, runs: int) -> dict[str, Any]:
    """1,000,000 jobs of tomorrow and 100,000 that have failed for good, beside 100,000 that are ready."""
    fail = f"update {SCHEMA}._private_jobs set attempts = max_attempts where run_at < now()"
    rows = _other_rows(database, SCHEDULED, FAILED, then=fail)
    contenders = {ours_once(*FAST): 100_000}
    return burdened(database, runs, contenders, rows, aim="to the rate without them", empty=lambda: None)


def old_transaction(database: Database, runs: int) -> dict[str, Any]:
    """An open transaction keeps PostgreSQL from forgetting the jobs that are done; both with their defaults."""
    contenders = {ours_once(): 50_000, graphile(GRAPHILE_DEFAULT, name="graphile defaults"): 20_000}
    return burdened(database, runs, contenders, database.open_transaction, aim="to the rate without it")


def queues(database: Database, runs: int) -> dict[str, Any]:
    """2,000 named queues with 4 jobs each, against as many jobs without a queue."""

    def queued(count: int) -> list[str]:
        return [
            "select 'trivial', json_build_object('id', i), 'queue ' || (i % 2000), now() "
            f"from generate_series(1, {count}) i"
        ]

    seconds: dict[str, list[float]] = {"queues": [], "without": []}
    for _ in range(runs):
        for name, selects in (("queues", queued(8_000)), ("without", ready(8_000))):
            database.empty()
            database.fill(*selects)
            seconds[name].append(seconds_to_drain(database))
    rates = {name: 8_000 / median(values) for name, values in seconds.items()}
    details = {
        name: {"jobs_per_second": round(rate), "seconds": [round(value, 3) for value in seconds[name]]}
        for name, rate in rates.items()
    }
    return report(details, Aim("to the rate without", rates["queues"] / rates["without"], at_least=0.35))


def empty_queue(database: Database, runs: int) -> dict[str, Any]:
    """How long a worker with ``--once`` takes on an empty queue."""
    contenders = {ours_once(): 1, graphile(GRAPHILE_DEFAULT, name="graphile --once"): 1}
    rates = measure(database, contenders, lambda _: [], runs=3 * runs)
    seconds = {name: sorted(rate.empty + rate.full)[len(rate.empty)] for name, rate in rates.items()}
    return report(
        {name: {"seconds": round(value, 3)} for name, value in seconds.items()},
        Aim("to graphile", seconds["gw_sqla"] / seconds["graphile --once"], at_most=3.0),
    )
