"""``python -m benchmarks [MEASURE ...] [--runs N]``: measures, and prints one JSON document.

Needs Node.js and GW_SQLA_PEER, a folder with graphile-worker in it (``nox -s bench`` makes one).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.adding import add_jobs
from benchmarks.claims import pauses, routing
from benchmarks.database import Database, measured_database
from benchmarks.forwarding import forwarding
from benchmarks.garbage import garbage
from benchmarks.hooks import hooks
from benchmarks.kit import testing_kit
from benchmarks.loops import driver, trio
from benchmarks.peers.python import python_peers
from benchmarks.real_handlers import real_handlers
from benchmarks.running import latency, memory
from benchmarks.sizes import big_payload, idle_queues, many_queues, many_tasks
from benchmarks.throughput import (
    defaults,
    empty_queue,
    old_transaction,
    one_process,
    queues,
    scheduled,
    stuck,
    two_processes,
)

MEASURES = {
    measure.__name__: measure
    for measure in (
        one_process,
        two_processes,
        defaults,
        trio,
        driver,
        latency,
        add_jobs,
        stuck,
        queues,
        idle_queues,
        many_queues,
        many_tasks,
        big_payload,
        real_handlers,
        garbage,
        scheduled,
        old_transaction,
        memory,
        empty_queue,
        routing,
        pauses,
        testing_kit,
        python_peers,
        forwarding,
        hooks,
    )
}


_WITHOUT_PEERS = {"forwarding", "garbage", "hooks"}


def machine(database: Database) -> dict[str, Any]:
    """What the figures are of."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": models[0].partition(": ")[2] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "postgresql": database.value("show server_version"),
        **{name: version(name) for name in ("gw-sqla", "SQLAlchemy", "asyncpg", "anyio")},
    }


def main() -> None:
    """Run what was asked for and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of each contender, in turn (default 5)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.measures) - set(MEASURES))
    if unknown:
        parser.error(f"no measure is called {', '.join(unknown)}")
    if not os.environ.get("GW_SQLA_PEER") and (not arguments.measures or {*arguments.measures} - _WITHOUT_PEERS):
        parser.error("GW_SQLA_PEER is not set: run nox -s bench")
    with measured_database() as database:
        result: dict[str, Any] = {"machine": machine(database), "runs": arguments.runs, "measures": {}}
        for name in arguments.measures or MEASURES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            result["measures"][name] = MEASURES[name](database, arguments.runs)
            print(json.dumps(result["measures"][name]["aims"]), file=sys.stderr, flush=True)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
