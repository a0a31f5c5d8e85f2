"""``doctor`` without ``--as``: all checks, for people and for programs, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import re

from tests.cli.command import error_line, fetch, run, run_here
from tests.support.server import execute

STUCK = """insert into graphile_worker._private_job_queues (queue_name, locked_by, locked_at)
values (e'evil\\x1b[2J''x', 'pool-a', now() - interval '1 hour')"""


def test_for_people(clean_database: str) -> None:
    done = run("doctor", "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1].startswith("ok       version       PostgreSQL ")
    at = next(at for at, line in enumerate(lines) if line.startswith("warning  workers       no worker"))
    assert lines[at + 1] == " " * 22 + " -> python -m gw_sqla worker --app MODULE:ATTRIBUTE"


def test_something_wrong(clean_database: str) -> None:
    """The exit code says so; names of others cannot act on the terminal."""
    fetch(clean_database, STUCK)
    done = run("doctor", "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (1, "")
    assert "wrong    queues        1 are locked by who has none of their jobs: " in done.stdout
    assert "\x1b" not in done.stdout
    [repair] = re.findall("-> (update .*;)", done.stdout)
    asyncio.run(execute(clean_database, repair))
    assert fetch(clean_database, "select locked_by from graphile_worker._private_job_queues") == [{"locked_by": None}]


def test_for_programs(clean_database: str) -> None:
    done = run("doctor", "--json", "--database-url", clean_database)
    findings = {finding.pop("check"): finding for finding in json.loads(done.stdout)}
    assert findings["queues"] == {"verdict": "ok", "number": 0, "found": "none is stuck", "repair": None}
    done = run("doctor", "--csv", "--database-url", clean_database)
    assert done.stdout.splitlines()[0] == "check,verdict,number,found,repair"


def test_cron_items_of_an_application(clean_database: str) -> None:
    done = run("doctor", "--json", "--app", "tests.cli.app_cron:tasks", "--database-url", clean_database)
    [crontabs] = [finding for finding in json.loads(done.stdout) if finding["check"] == "crontabs"]
    assert crontabs["found"] == "1 of 1 items are not scheduled: nightly (no worker has made it known)"
    assert done.returncode == 1


def test_no_database() -> None:
    url = "postgresql://127.0.0.1:1/d"
    assert "cannot connect to the database at 127.0.0.1, port 1" in error_line(run("doctor", "--database-url", url), 1)
    assert "--role goes with --as" in error_line(run_here("doctor", "--role", "x", "--database-url", url), 2)
