"""The application that the workers under measurement run: tasks that do nothing."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from gw_sqla import TaskRegistry

TASKS_VARIABLE = "GW_SQLA_BENCH_TASKS"
"""Of the environment: how many more tasks there are, ``task 0`` and so on."""

tasks = TaskRegistry()


@tasks.task("trivial")
async def trivial(payload: dict[str, int]) -> None:
    """Do nothing, as the peers' benchmarks do."""


for number in range(int(os.environ.get(TASKS_VARIABLE, "0"))):
    tasks.task(f"task {number}")(trivial.handler)


@tasks.task("big")
async def big(payload: dict[str, Any]) -> None:
    """Do nothing with much."""


@tasks.task("latency")
async def latency(payload: str) -> None:
    """Print which job has begun."""
    print(payload, flush=True)


@tasks.task("memory")
async def memory() -> None:
    """Print the highest memory of this process so far, in KiB, and what it is now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240 - not a file on a disk
    now = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} {now}", flush=True)
