"""``worker``: which tasks it runs, of the application and of a folder of executable files."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.command import APP, error_line, fetch, run, run_here, started

ADD = "select graphile_worker.add_job($1, $2::text::json)"
LEFT = "select task_identifier, locked_by, last_error from graphile_worker.jobs order by id"
NOWHERE = "postgresql://nobody@127.0.0.1:1/d"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one program, which prints its payload."""
    program(tmp_path / "deep" / "cat.sh", "#!/bin/sh\ncat\n")
    return tmp_path


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_programs_beside_an_application(clean_database: str, folder: Path, backend: str) -> None:
    fetch(clean_database, ADD, "deep/cat", '"meow"')
    fetch(clean_database, ADD, "greet", '{"name": "Ada"}')
    options = ("--once", "--backend", backend, "--database-url", clean_database)
    done = run("worker", "--tasks", str(folder), "--app", APP, *options)
    assert (done.returncode, done.stdout) == (0, "completed 2, failed 0\n"), done.stderr
    assert '{"payload":"meow"}' in done.stderr
    assert "Ada is greeted" in done.stderr


def test_programs_alone_by_a_variable(clean_database: str, folder: Path) -> None:
    fetch(clean_database, ADD, "deep/cat", '"meow"')
    done = run("worker", "--once", "--uvloop", "--database-url", clean_database, env={"GW_SQLA_TASKS": str(folder)})
    assert (done.returncode, done.stdout) == (0, "completed 1, failed 0\n"), done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "no tasks: give --app MODULE:ATTRIBUTE, --tasks FOLDER, or both"),
        (("--tasks", "no/such/folder"), "there is no such folder"),
        (("--app", APP, "--only-task", "gret"), "there is no task 'gret': did you mean 'greet'?"),
        (("--app", APP, "--not-task", "zzz"), "there is no task 'zzz': there are deaf, die, "),
        (("--app", APP, "--only-task", "greet", "--not-task", "greet"), "no task is left"),
    ],
)
def test_tasks_that_are_not_there(options: tuple[str, ...], says: str) -> None:
    assert says in error_line(run_here("worker", "--database-url", NOWHERE, *options), 2)


def test_a_program_that_an_application_has_too(tmp_path: Path) -> None:
    program(tmp_path / "greet.sh", "#!/bin/sh\n")
    line = error_line(run_here("worker", "--database-url", NOWHERE, "--app", APP, "--tasks", str(tmp_path)), 2)
    assert f"{tmp_path}/greet.sh is the task 'greet', which an --app has too: rename one" in line


def test_a_worker_for_some_of_the_tasks(clean_database: str) -> None:
    options = ("--once", "--app", APP, "--log-level", "error", "--database-url", clean_database)
    for task in ("greet", "fail", "polite"):
        fetch(clean_database, ADD, task, '{"name": "x"}')
    done = run("worker", "--only-task", "greet", "--only-task", "polite", "--not-task", "polite", *options)
    assert (done.returncode, done.stdout) == (0, "completed 1, failed 0\n"), done.stderr
    assert [row["task_identifier"] for row in fetch(clean_database, LEFT)] == ["fail", "polite"]
    done = run("worker", *options, env={"GW_SQLA_NOT_TASK": "polite greet"})
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 1 (fail: 1)\n"), done.stderr


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_signal_ends_a_program_and_what_it_has_started(
    clean_database: str, tmp_path: Path, backend: str
) -> None:
    program(tmp_path / "long.sh", "#!/bin/sh\nsleep 1000 &\necho child=$! is running\nwait\n")
    fetch(clean_database, ADD, "long", "{}")
    options = ("--backend", backend, "--grace-period", "3600", "--database-url", clean_database)
    with started("worker", "--tasks", str(tmp_path), *options) as running:
        child = int(running.wait_for("child=").partition("child=")[2].split()[0])
        running.process.send_signal(signal.SIGINT)
        running.wait_for("SIGINT: stopping")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    [job] = fetch(clean_database, LEFT)
    assert (job["locked_by"], job["last_error"]) == (None, "the worker was shut down before the job ended")
    assert has_ended(child)
