"""``worker --uvloop``: asyncio on another event loop, where it is asked for and installed."""

from __future__ import annotations

import pytest

from tests.cli.command import APP, error_line, fetch, python, run, run_here


@pytest.mark.parametrize("processes", ["1", "2"])
def test_jobs_run_on_uvloop(clean_database: str, processes: str) -> None:
    pytest.importorskip("uvloop")
    fetch(clean_database, "select graphile_worker.add_job('event_loop')")
    options = ("--app", APP, "--once", "--uvloop", "--processes", processes)
    done = run("worker", *options, "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "completed 1, failed 0\n"), done.stderr
    assert "the event loop is of uvloop" in done.stderr


def test_without_being_asked_for_it_is_not_used(clean_database: str) -> None:
    fetch(clean_database, "select graphile_worker.add_job('event_loop')")
    done = run("worker", "--app", APP, "--once", "--database-url", clean_database)
    assert "the event loop is of asyncio." in done.stderr


def test_it_is_not_installed() -> None:
    script = "import sys; sys.modules['uvloop'] = None; from gw_sqla.cli.main import main; sys.exit(main())"
    done = python("-c", script, "worker", "--app", APP, "--uvloop", env={"DATABASE_URL": "postgresql://h/d"})
    assert "pip install 'gw-sqla[uvloop]'" in error_line(done, 2)


def test_it_does_not_go_with_trio() -> None:
    options = ("--app", APP, "--database-url", "postgresql://h/d", "--uvloop", "--backend", "trio")
    assert "leave it out with --backend trio" in error_line(run_here("worker", *options), 2)
