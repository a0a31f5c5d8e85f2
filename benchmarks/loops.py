"""What trio costs beside asyncio: the rate and latency of a worker, and the way of a query or session to the driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.contenders import HERE, ours, ours_once
from benchmarks.database import Database
from benchmarks.rates import measure
from benchmarks.running import latencies
from benchmarks.throughput import FAST, Aim, ready, report, shown

__all__ = ["driver", "trio"]

TRIO = ("--backend", "trio")


def trio(database: Database, runs: int) -> dict[str, Any]:
    """The same work on both event loops."""
    contenders = {ours_once(*FAST, name="asyncio"): 200_000, ours_once(*FAST, *TRIO, name="trio"): 200_000}
    rates = measure(database, contenders, ready, runs=runs)
    commands = {"asyncio": list(ours().command), "trio": list(ours(*TRIO).command)}
    parts, details = latencies(database, commands, runs)
    return report(
        shown(rates) | {"latency": details},
        Aim("to asyncio", rates["trio"].per_second / rates["asyncio"].per_second, at_least=0.85),
        Aim("latency p50 to asyncio", parts["trio"][49] / parts["asyncio"][49], at_most=1.3),
    )


def driver(database: Database, runs: int) -> dict[str, Any]:
    """A query and a session, in microseconds; GW_SQLA_BASELINE_PYTHON: one with another version."""
    interpreters = {"": sys.executable}
    if baseline := os.environ.get("GW_SQLA_BASELINE_PYTHON"):
        interpreters["baseline, "] = baseline
    seen: dict[str, list[dict[str, Any]]] = {}
    for _ in range(runs):
        for name, interpreter in interpreters.items():
            for loop in ("asyncio", "trio"):
                command = [interpreter, str(HERE / "loops_inside.py"), loop]
                ended = subprocess.run(
                    command, env=database.environment, cwd="/", check=True, stdout=subprocess.PIPE, text=True
                )
                seen.setdefault(name + loop, []).append(json.loads(ended.stdout))
    measured = [what for what, value in seen["asyncio"][0].items() if isinstance(value, int)]
    medians = {name: {what: median(one[what] for one in values) for what in measured} for name, values in seen.items()}
    ten = {name: values["session, ten side by side"] for name, values in medians.items()}
    aims = [Aim("sessions on trio to asyncio, ten side by side", ten["trio"] / ten["asyncio"], at_most=2.0)]
    if baseline:
        aims.append(Aim("to the baseline on trio, ten side by side", ten["trio"] / ten["baseline, trio"], at_most=0.7))
    return report({"medians": medians, "runs": seen}, *aims)
