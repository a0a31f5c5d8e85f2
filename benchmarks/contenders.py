"""Who is measured: each contender is a command that empties the queue and ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SLOTS = 24

GRAPHILE_BEST = {
    "concurrentJobs": SLOTS,
    "localQueue": {"size": 500, "refetchDelay": {"durationMs": 10}},
    "completeJobBatchDelay": 0,
    "failJobBatchDelay": 0,
}
GRAPHILE_AHEAD = {**GRAPHILE_BEST, "localQueue": {"size": 2000, "refetchDelay": {"durationMs": 10}}}
GRAPHILE_DEFAULT = {"concurrentJobs": SLOTS}


@dataclass(frozen=True)
class Contender:
    """A worker: ``command`` empties the queue; ``processes`` of it run at once."""

    name: str
    command: tuple[str, ...]
    processes: int = 1

    def drain(self, environment: Mapping[str, str]) -> float:
        """Run it until the queue is empty; return the seconds from the first start to the last end."""
        began = time.perf_counter()
        running = [
            subprocess.Popen(self.command, env=dict(environment), cwd=HERE.parent, stdout=subprocess.DEVNULL)
            for _ in range(self.processes)
        ]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - began
        if any(codes):
            raise RuntimeError(f"{self.name} ended with {codes}")
        return seconds


def ours(*options: str, name: str = "gw_sqla", processes: int = 1) -> Contender:
    """Our worker, with 24 slots and these options of ``python -m gw_sqla worker``."""
    command = (sys.executable, "-m", "gw_sqla", "worker", "--app", "benchmarks.app:tasks", "--log-level", "warning")
    return Contender(name, (*command, "--concurrency", str(SLOTS), *options), processes)


def ours_once(*options: str, name: str = "gw_sqla", processes: int = 1) -> Contender:
    """Our worker, which ends when the queue is empty."""
    return ours("--once", *options, name=name, processes=processes)


def graphile(settings: Mapping[str, object], *, name: str, processes: int = 1) -> Contender:
    """Graphile Worker with these settings of its preset."""
    script = str(HERE / "peers" / "graphile.cjs")
    return Contender(name, ("node", script, "once", json.dumps(settings)), processes)


def ceiling(connections: int) -> Contender:
    """Bare asyncpg on this many connections of one process."""
    return Contender(f"ceiling {connections}", (sys.executable, "-m", "benchmarks.ceiling", str(connections)))
