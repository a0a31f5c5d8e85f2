"""The log of a worker on standard error."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import fetch, run
from tests.cli.test_worker_tasks import ADD, program


def test_what_a_program_prints_does_not_act_on_the_terminal(clean_database: str, tmp_path: Path) -> None:
    """Nor does the error that is made of it; what stands in the database is as it was said."""
    program(tmp_path / "evil.sh", "#!/bin/sh\nprintf '\\033[2Jout\\n'; printf '\\033]0;err\\007\\n' >&2; exit 3\n")
    fetch(clean_database, ADD, "evil", "{}")
    done = run("worker", "--tasks", str(tmp_path), "--once", "--database-url", clean_database)
    assert done.returncode == 0
    assert "\x1b" not in done.stderr
    assert r"\x1b[2Jout" in done.stderr
    assert done.stderr.count(r"\x1b]0;err\x07") >= 2
    assert len(done.stderr.splitlines()) > 2
    [row] = fetch(clean_database, "select last_error from graphile_worker._private_jobs")
    assert "\x1b]0;err\x07" in row["last_error"]
