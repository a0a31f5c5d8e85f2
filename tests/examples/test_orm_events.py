"""examples/orm_events.py, as a user runs it, on a database that nobody has migrated."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import make_url

from tests.examples.support import ROOT, environment
from tests.support.server import Server


def test_objects_add_jobs(server: Server) -> None:
    url = server.create_database()
    hosted = make_url(url).update_query_dict({"sslmode": "prefer", "connect_timeout": "10"})
    try:
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "orm_events.py"],
            env=environment(hosted.render_as_string(hide_password=False)),
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
            "user 1: is ada@example.com yours?",
            "user 2: is grace@example.com yours?",
            "user 2: is grace@example.org yours?",
            "3 completed, 0 failed",
        ],
    ), done.stderr
