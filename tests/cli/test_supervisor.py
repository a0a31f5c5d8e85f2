"""``worker --processes``: one supervisor, several worker processes; nobody is left behind, nothing is counted twice."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.cli.command import APP, Started, error_line, fetch, run, run_here, started

ADD = "select graphile_worker.add_job($1, $2::text::json, max_attempts => 1)"
JOBS = "select last_error, locked_by from graphile_worker.jobs order by id"
both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def add(url: str, task: str, count: int = 1, **payload: object) -> None:
    for _ in range(count):
        fetch(url, ADD, task, json.dumps(payload))


def options(url: str, *more: str) -> tuple[str, ...]:
    """Two processes with one slot each: two jobs that run at once run in both."""
    return ("worker", "--app", APP, "--processes", "2", "--concurrency", "1", "--database-url", url, *more)


def pids(running: Started, text: str, count: int = 2) -> list[int]:
    """Read the log until ``count`` processes have written the text, and return their ids."""
    found: list[int] = []
    while len(found) < count:
        line = running.wait_for(text)
        match = re.search(r"\[(\d+)\]", line)
        assert match is not None, line
        found.append(int(match[1]))
    assert len(set(found)) == count
    return found


@both_backends
def test_once_runs_jobs_in_both_and_sums_the_counts(clean_database: str, tmp_path: Path, backend: str) -> None:
    add(clean_database, "meet", 2, folder=str(tmp_path), processes=2)
    add(clean_database, "fail")
    done = run(*options(clean_database, "--once", "--backend", backend))
    assert (done.returncode, done.stdout) == (0, "completed 2, failed 1 (fail: 1)\n"), done.stderr
    assert len(list(tmp_path.iterdir())) == 2


@both_backends
def test_one_signal_to_everybody_is_one_stop(clean_database: str, tmp_path: Path, backend: str) -> None:
    add(clean_database, "linger", 2, file=str(tmp_path / "end"))
    with started(*options(clean_database, "--backend", backend, "--log-level", "debug")) as running:
        for pid in [*pids(running, "the lingering job runs"), running.process.pid]:
            os.kill(pid, signal.SIGTERM)
        pids(running, "the supervisor says stop")
        (tmp_path / "end").touch()
        code, log = running.end()
    assert code == 0, log
    assert fetch(clean_database, JOBS) == []


@both_backends
def test_a_second_signal_ends_the_grace_period_of_all(clean_database: str, backend: str) -> None:
    add(clean_database, "stubborn", 2)
    with started(*options(clean_database, "--backend", backend, "--grace-period", "600")) as running:
        pids(running, "the stubborn job runs")
        running.process.send_signal(signal.SIGINT)
        running.wait_for("SIGINT: passed on to 2 worker processes")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    for job in fetch(clean_database, JOBS):
        assert job["locked_by"] is None
        assert "shut down" in job["last_error"]


@both_backends
def test_no_process_outlives_a_supervisor_that_is_killed(clean_database: str, backend: str) -> None:
    add(clean_database, "polite", 2)
    with started(*options(clean_database, "--backend", backend)) as running:
        pids(running, "the polite job runs")
        running.process.kill()
        _, log = running.end()  # which comes when the last of them has closed its standard error
    assert log.count("the supervisor is gone") == 2
    assert fetch(clean_database, JOBS) == []


def test_a_process_that_dies_is_replaced(clean_database: str) -> None:
    with started(*options(clean_database)) as running:
        victim, survivor = pids(running, "tasks in 1 slots")
        os.kill(victim, signal.SIGKILL)
        running.wait_for(f"worker process {victim} was killed by signal 9 (Killed); another starts in 0.5 s")
        [successor] = pids(running, "tasks in 1 slots", 1)
        assert successor not in {victim, survivor}
        os.kill(successor, signal.SIGTERM)
        running.wait_for(f"worker process {successor} ended with exit code 0; another starts in 1 s")
        pids(running, "tasks in 1 slots", 1)
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log


def test_a_process_that_dies_is_not_replaced_once_nor_forgotten(clean_database: str) -> None:
    add(clean_database, "die")
    add(clean_database, "fail")
    done = run(*options(clean_database, "--once", "--log-level", "error"))
    assert done.stdout == "completed 0, failed 1 (fail: 1)\n"
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith("Error: ")
    assert "was killed by signal 9 (Killed)" in last


def test_a_process_that_dies_while_all_stop_is_not_forgotten(clean_database: str) -> None:
    add(clean_database, "stubborn", 2)
    with started(*options(clean_database, "--grace-period", "600")) as running:
        workers = pids(running, "the stubborn job runs")
        running.process.terminate()
        running.wait_for("SIGTERM: passed on to 2 worker processes")
        os.kill(workers[0], signal.SIGKILL)
        running.process.terminate()
        code, log = running.end()
    assert code == 1, log
    assert f"Error: worker process {workers[0]} was killed" in log.splitlines()[-1]


@pytest.mark.parametrize("once", [(), ("--once",)])
def test_an_application_that_cannot_be_loaded_is_one_line(clean_database: str, once: tuple[str, ...]) -> None:
    done = run(*options(clean_database, "--app", "tests.cli.app:nothing", "--log-level", "error", *once))
    assert "module tests.cli.app has no nothing" in error_line(done, 2)


def test_a_schema_that_is_missing_or_too_new_is_one_line(clean_database: str) -> None:
    quiet = ("--log-level", "error")
    done = run(*options(clean_database, "--schema", "absent", *quiet))
    assert "there is no Graphile Worker schema 'absent'" in error_line(done, 1)
    fetch(clean_database, "insert into graphile_worker.migrations (id, breaking) values (99, true)")
    try:
        assert "breaking migration 99" in error_line(run(*options(clean_database, *quiet)), 57)
    finally:
        fetch(clean_database, "delete from graphile_worker.migrations where id = 99")


def test_a_breaking_migration_ends_all_with_the_peers_exit_code(clean_database: str) -> None:
    listening = (
        "select from pg_stat_activity "
        "where datname = current_database() and query like 'LISTEN%worker:migrate%' and state = 'idle'"
    )
    with started(*options(clean_database)) as running:
        while len(fetch(clean_database, listening)) < 2:
            assert running.process.poll() is None
            time.sleep(0.05)
        fetch(clean_database, "insert into graphile_worker.migrations (id, breaking) values (21, true)")
        fetch(clean_database, "select pg_notify('worker:migrate', '{\"migrationNumber\": 21, \"breaking\": true}')")
        code, log = running.end()
    fetch(clean_database, "delete from graphile_worker.migrations where id = 21")
    assert code == 57, log
    assert [line for line in log.splitlines() if "Error" in line] == [log.splitlines()[-1]]
    assert "a breaking migration" in log.splitlines()[-1]


def test_debug_shows_the_traceback_of_the_process(clean_database: str) -> None:
    done = run(*options(clean_database, "--app", "tests.cli.app:nothing", "--debug"))
    assert done.returncode == 2
    assert "in load_app" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: --app tests.cli.app:nothing: ")


def test_migrate_is_done_once(database: str) -> None:
    done = run(*options(database, "--once", "--migrate", "--schema", "made once"))
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 0\n"), done.stderr
    assert done.stderr.count("schema 'made once'") == 1


def test_the_number_is_at_least_one() -> None:
    assert "x>=1" in error_line(run_here(*options("postgresql://h/d", "--processes", "0")), 2)
