"""What hooks cost a job, in instructions as callgrind counts them: a clock tells no percent on a shared machine.

The same worker with no hook, with one interceptor that does nothing, with one observer that hears of completions, with
the log of completions (to nowhere), with Prometheus' metrics, and with OpenTelemetry's spans (to nowhere); and, where
GW_SQLA_BENCH_BASE names a tree of gw_sqla from before there were hooks, that one. Each runs two numbers of jobs
(`hooks_inside.py`); what is not a job's is in both, and is taken off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contenders import HERE
from benchmarks.database import READY, Database

__all__ = ["hooks"]

FEW, MANY = 1_200, 6_000
"""As in hooks_inside.py."""
_HOOKS = ("nothing", "interceptor", "observer", "completions", "metrics", "tracing")


def hooks(database: Database, runs: int) -> dict[str, Any]:
    """Instructions of one job with and without hooks."""
    if shutil.which("valgrind") is None:
        return {"skipped": "valgrind is not installed", "aims": {}}
    del runs  # what is counted does not vary as what is timed does
    trees = dict.fromkeys(_HOOKS, HERE.parent)
    if base := os.environ.get("GW_SQLA_BENCH_BASE"):
        trees = {"before there were hooks": Path(base)} | trees
    counted = {name: _per_job(database, name, tree) for name, tree in trees.items()}
    none = counted["nothing"]
    result: dict[str, Any] = {
        "instructions_per_job": {name: round(count) for name, count in counted.items()},
        "ratio_to_nothing": {name: round(count / none, 4) for name, count in counted.items()},
        "aims": {},
    }
    if base:
        is_met = none / counted["before there were hooks"] <= 1.01
        result["aims"] = {"no hooks cost within 1 % of a version without": is_met}
    return result


def _per_job(database: Database, name: str, tree: Path) -> float:
    database.empty()
    database.fill(READY.format(count=1))  # makes the task known
    database.empty()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={out}",
                "-q",
                sys.executable,
                str(HERE / "hooks_inside.py"),
                name if name in _HOOKS else "nothing",
            ],
            env=database.environment | {"PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        few, many = (_instructions(out.with_name(f"{out.name}.{number}")) for number in (2, 3))
    return (many - few) / (MANY - FEW)


def _instructions(dump: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.MULTILINE)
    assert found is not None, "callgrind says how many"
    return int(found[1])
