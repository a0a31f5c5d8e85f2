"""Procrastinate and PgQueuer beside us: rates of one process, in their own schemas of the same database."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Any

from benchmarks.contenders import HERE
from benchmarks.database import Database
from benchmarks.throughput import report

__all__ = ["python_peers"]

JOBS = 5_000
PEERS = {
    "procrastinate, 24 at once": ("procrastinate_queue", 0),
    "pgqueuer, batches of 10 (its default)": ("pgqueuer_queue", 10),
    "pgqueuer, batches of 100": ("pgqueuer_queue", 100),
    "pgqueuer, batches of 500": ("pgqueuer_queue", 500),
}


def _call(database: Database, module: str, verb: str, count: int) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", verb, str(count)]
    subprocess.run(command, env=database.environment, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def python_peers(database: Database, runs: int) -> dict[str, Any]:
    """The rates of the Python peers, measured as ours are; no aim, they are for the reader."""
    for module in sorted({module for module, _ in PEERS.values()}):
        _call(database, module, "prepare", 0)
    details = {}
    for name, (module, batch) in PEERS.items():
        empty, full = [], []
        for _ in range(runs):
            empty.append(_call(database, module, "drain", batch))
            _call(database, module, "fill", JOBS)
            database.run("vacuum analyze")
            full.append(_call(database, module, "drain", batch))
        details[name] = {"jobs_per_second": round(JOBS / (median(full) - median(empty))), "jobs": JOBS}
    return report(details)
