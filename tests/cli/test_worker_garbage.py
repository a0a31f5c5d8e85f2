"""``worker``: how often the garbage collector looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import fetch, python


@pytest.mark.parametrize(("setting", "threshold"), [("", 10_000), ("gc.set_threshold(1234)", 1234)])
def test_the_garbage_collector_looks_seldom(clean_database: str, tmp_path: Path, setting: str, threshold: int) -> None:
    """Unless the application says how often."""
    app = f"""import gc
from gw_sqla import TaskRegistry
{setting}
tasks = TaskRegistry()

@tasks.task("tell")
async def tell():
    print("threshold", gc.get_threshold()[0])
"""
    (tmp_path / "telling_app.py").write_text(app)
    fetch(clean_database, "select graphile_worker.add_job('tell')")
    options = ["--app", "telling_app:tasks", "--once", "--database-url", clean_database]
    done = python("-m", "gw_sqla", "worker", *options, cwd=tmp_path)
    assert done.stdout.splitlines()[0] == f"threshold {threshold}", done
