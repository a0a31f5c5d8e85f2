"""What hooks cost a job, in instructions as callgrind counts them: a clock tells no percent on a shared machine.

The same worker with no hook, with one interceptor that does nothing, with one observer that hears of completions, with
the log of completions (to nowhere), with Prometheus' metrics, and with OpenTelemetry's spans (to nowhere); and, to be
compared with the first, a copy of gw_sqla out of which is cut what asks on a job's way whether there are hooks. Each
runs two numbers of jobs (`hooks_inside.py`); what is not a job's is in both, and is taken off.

It takes ten minutes on idle cores. A worker that is stopped meanwhile (by the SIGTERM of a ``timeout`` around all of
this, say) has run fewer jobs than it should, and says so.
"""

from __future__ import annotations

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
_CUT_OUT = "hooks cut out"
_CUTS = {
    "execution/executor.py": ("run.completed() if self._times_all else Completed(job)", "Completed(job)"),
    "worker/finisher.py": ("self._observers.written(outcomes)", "pass"),
    "worker/claimer.py": ("self._tell(len(runs), wanted, monotonic() - began)", "pass"),
    "worker/outcome_writer.py": ("if self._tells and runs:", "if False:"),
}
"""What a job comes by."""
_HOOKS = ("nothing", "interceptor", "observer", "completions", "metrics", "tracing")


def hooks(database: Database, runs: int) -> dict[str, Any]:
    """Instructions of one job with and without hooks."""
    if shutil.which("valgrind") is None:
        return {"skipped": "valgrind is not installed", "aims": {}}
    del runs  # what is counted does not vary as what is timed does
    with tempfile.TemporaryDirectory() as folder:
        trees = {_CUT_OUT: _without_hooks(Path(folder))} | dict.fromkeys(_HOOKS, HERE.parent)
        counted = {name: _per_job(database, name, tree) for name, tree in trees.items()}
    none = counted["nothing"]
    return {
        "instructions_per_job": {name: round(count) for name, count in counted.items()},
        "ratio_to_nothing": {name: round(count / none, 4) for name, count in counted.items()},
        "aims": {"no hooks cost within 1 % of what they cost cut out": abs(none / counted[_CUT_OUT] - 1) <= 0.01},
    }


def _without_hooks(folder: Path) -> Path:
    """Return a copy of gw_sqla's tree without what hooks cost where there are none."""
    shutil.copytree(HERE.parent / "gw_sqla", folder / "gw_sqla", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "alembic").symlink_to(HERE.parent / "alembic")
    for name, (found, replaced) in _CUTS.items():
        path = folder / "gw_sqla" / name
        text = path.read_text()
        assert text.count(found) == 1, f"{name} has {found!r} no more"
        path.write_text(text.replace(found, replaced))
    return folder


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
