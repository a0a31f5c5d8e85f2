"""Jobs that are held by row locks alone, ``--lease-after``, beside leases and Graphile Worker, on the same rows."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import GRAPHILE_BEST, graphile, ours_once
from benchmarks.database import Database
from benchmarks.rates import measure
from benchmarks.throughput import FAST, Aim, ready, report, shown

__all__ = ["held"]

HOLDING = ("--lease-after", "0.1")


def held(database: Database, runs: int) -> dict[str, Any]:
    """One process, 24 slots, 500 and 2,000 jobs ahead, with leases and without."""
    more = ("--prefetch", "2000")
    rates = measure(
        database,
        {
            ours_once(*FAST, name="leased, 500"): 200_000,
            ours_once(*FAST, *HOLDING, name="held, 500"): 200_000,
            ours_once(*more, name="leased, 2,000"): 200_000,
            ours_once(*more, *HOLDING, name="held, 2,000"): 200_000,
            graphile(GRAPHILE_BEST, name="graphile best"): 100_000,
        },
        ready,
        runs=runs,
    )
    best = max(rates["held, 500"].per_second, rates["held, 2,000"].per_second)
    leased = max(rates["leased, 500"].per_second, rates["leased, 2,000"].per_second)
    return report(
        shown(rates),
        Aim("to graphile best", best / rates["graphile best"].per_second, at_least=3.5),
        Aim("to leases", best / leased, at_least=1.0),
    )
