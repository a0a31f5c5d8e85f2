"""examples/script.py, as a user runs it, on a database that nobody has migrated."""

from __future__ import annotations

import subprocess
import sys

from gw_sqla.schema.supported_revisions import HEAD
from tests.examples.support import ROOT, environment
from tests.support.server import Server


def test_script_migrates_adds_runs_and_cleans_up(server: Server) -> None:
    url = server.create_database()
    try:
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "script.py"],
            env=environment(url),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        server.drop_database(url)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            f"schema 'script_jobs' created: nothing -> {HEAD}",
            "tea: 3",
            "coffee: 5",
            "2 completed, 1 failed",
            "count_item {'item': 'cocoa'} failed: FailPermanently: there is no cocoa",
            f"schema 'script_jobs' downgraded: {HEAD} -> nothing",
        ],
    ), done.stderr
