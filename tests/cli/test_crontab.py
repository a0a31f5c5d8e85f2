"""``crontab``: check, next and known; and the crontab of ``worker``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gw_sqla.cli.application import load_crontab
from tests.cli.command import APP, error_line, fetch, run, run_here, started

GOOD = "0 4 * * * clean_up ?fill=1d\n30 2 * * * report ?id=paris&tz=Europe/Paris\n"
BAD = "# two faults\n0 24 * * * a\n@hourly b\n\n0 0 * * * c ?max=0\n"

KNOWN = "insert into graphile_worker._private_known_crontabs values ($1, $2, $3)"


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write(tmp_path, GOOD)


def write(folder: Path, text: str) -> str:
    file = folder / "crontab"
    file.write_text(text)
    return str(file)


def test_check_names_all_faults(tmp_path: Path) -> None:
    file = write(tmp_path, BAD)
    done = run_here("crontab", "check", file)
    assert (done.returncode, done.stderr) == (2, f"{file}: errors: 2; nothing of it would be used\n")
    assert done.stdout.splitlines() == [
        f"{file}:2:3: error: hour: 24 is not one of 0 to 23",
        f"{file}:3:1: warning: Graphile Worker for Node.js does not understand @hourly: write 0 * * * *",
        f"{file}:5:14: error: max: must be 1 to 32767, is 0",
    ]


def test_check_of_a_good_file(good: str) -> None:
    done = run_here("crontab", "check", good)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{good}:2:29: warning: Graphile Worker for Node.js does not have the option tz",
        f"{good}: items: 2; no errors",
    ]


@pytest.mark.parametrize("command", ["check", "next"])
def test_a_file_that_is_not_there(command: str) -> None:
    assert error_line(run_here("crontab", command, "/none"), 2) == "Error: crontab /none: there is no such file"


def test_next_for_people(good: str) -> None:
    done = run_here("crontab", "next", good, "--count", "3", "--from", "2026-10-24T12:00:00Z")
    assert done.stdout.splitlines() == [
        "2026-10-25T00:30:00Z  paris  (2026-10-25T02:30+02:00 Europe/Paris)",
        "2026-10-25T04:00:00Z  clean_up",
        "2026-10-26T01:30:00Z  paris  (2026-10-26T02:30+01:00 Europe/Paris)",
    ]


def test_next_as_json(good: str) -> None:
    done = run_here("crontab", "next", good, "--count", "2", "--from", "2026-10-25T02:00:00+02:00", "--json")
    assert json.loads(done.stdout) == [
        {
            "at": "2026-10-25T00:30:00Z",
            "identifier": "paris",
            "task": "report",
            "tz": "Europe/Paris",
            "local": "2026-10-25T02:30+02:00",
        },
        {"at": "2026-10-25T04:00:00Z", "identifier": "clean_up", "task": "clean_up", "tz": None, "local": None},
    ]


def test_next_from_now_and_of_nothing(tmp_path: Path, good: str) -> None:
    done = run_here("crontab", "next", good, "--json")
    times = [datetime.fromisoformat(row["at"]) for row in json.loads(done.stdout)]
    assert len(times) == 10
    assert times == sorted(times)
    assert times[0] > datetime.now(UTC).replace(second=0, microsecond=0)
    assert run_here("crontab", "next", write(tmp_path, "0 0 30 2 * a")).stdout == "nothing fires\n"


def test_next_refuses(tmp_path: Path, good: str) -> None:
    assert "line 2, column 3: hour: 24" in error_line(run_here("crontab", "next", write(tmp_path, BAD)), 2)
    assert "'noon' is not an ISO 8601 time" in error_line(run_here("crontab", "next", good, "--from", "noon"), 2)
    assert "--count" in error_line(run_here("crontab", "next", good, "--count", "0"), 2)


CRON_APP = "tests.cli.app_cron:tasks"


def test_check_beside_an_application(tmp_path: Path) -> None:
    """Payloads that do not fit, identifiers that both have, tasks that it has not."""
    file = write(
        tmp_path,
        '0 1 * * * greet {name: "x"}\n0 2 * * * greet ?id=odd {name: 5}\n0 3 * * * gret\n0 4 * * * other\n'
        '0 5 * * * greet ?id=nightly {name: "x"}\n',
    )
    done = run_here("crontab", "check", file, "--app", CRON_APP)
    assert done.returncode == 2
    assert done.stderr.endswith(f"{file}: errors: 2; nothing of it would be used\n")
    assert done.stdout.splitlines() == [
        f"{file}: error: odd: payload: does not fit its task: name: Input should be a valid string",
        f"{file}: warning: gret: the application has no task gret: did you mean greet?",
        f"{file}: warning: other: the application has no task other: another worker may have it",
        f"{file}: error: nightly: the application has an item 'nightly' too: give one of them another id",
    ]
    done = run("crontab", "check", "--app", CRON_APP)
    assert (done.returncode, done.stdout, done.stderr) == (0, "--app: items: 1; no errors\n", "noise\n")


def test_next_of_an_application(good: str) -> None:
    options = ("--count", "2", "--from", "2026-10-24T12:00:00Z", "--app", CRON_APP)
    assert run_here("crontab", "next", *options).stdout.splitlines() == [
        "2026-10-25T03:15:00Z  nightly",
        "2026-10-26T03:15:00Z  nightly",
    ]
    assert run_here("crontab", "next", good, *options).stdout.splitlines()[1] == "2026-10-25T03:15:00Z  nightly"


@pytest.mark.parametrize("command", ["check", "next"])
def test_neither_file_nor_application(command: str) -> None:
    assert "Missing argument 'FILE', or --app" in error_line(run_here("crontab", command), 2)


def test_run_adds_the_job_of_one_item(clean_database: str, tmp_path: Path) -> None:
    """As the item says, with the time of now; the schedule does not hear of it."""
    file = write(tmp_path, "0 4 * * * clean_up ?id=x&queue=q&max=3&priority=-2&jobKey=k&flags=a {n: 1}\n")
    options = ("--crontab", file, "--app", CRON_APP, "--database-url", clean_database)
    done = run("crontab", "run", "x", *options)
    assert done.returncode == 0, done.stderr
    [job] = fetch(
        clean_database,
        "select jobs.id, identifier, queue_name, max_attempts, priority, key, flags::text, payload->>'n' as n, "
        "payload #>> '{_cron,backfilled}' as backfilled, "
        "date_trunc('ms', created_at) = (payload #>> '{_cron,ts}')::timestamptz as is_now "
        "from graphile_worker._private_jobs as jobs join graphile_worker._private_tasks as tasks on tasks.id = task_id "
        "join graphile_worker._private_job_queues as queues on queues.id = job_queue_id",
    )
    assert done.stdout == f"{job.pop('id')}\n"
    assert job == {
        "identifier": "clean_up",
        "queue_name": "q",
        "max_attempts": 3,
        "priority": -2,
        "key": "k",
        "flags": '{"a": true}',
        "n": "1",
        "backfilled": "false",
        "is_now": True,
    }
    assert fetch(clean_database, "select from graphile_worker._private_known_crontabs") == []
    assert run("crontab", "run", "nightly", *options).returncode == 0
    done = run_here("crontab", "run", "nigtly", *options)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Error: there is no cron item 'nigtly': did you mean nightly?"


def test_known(clean_database: str, good: str) -> None:
    since, last = datetime(2026, 5, 1, 7, 30, 5, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    fetch(clean_database, KNOWN, "clean_up", since, last)
    fetch(clean_database, KNOWN, "a", since, None)
    env = {"DATABASE_URL": clean_database}
    done = run("crontab", "known", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "IDENTIFIER  KNOWN SINCE           LAST EXECUTION        NEXT",
        "a           2026-05-01T07:30:05Z  -                     -",
        "clean_up    2026-05-01T07:30:05Z  2026-05-02T00:00:00Z  -",
    ]
    rows = json.loads(run("crontab", "known", "--json", "--crontab", good, "--app", APP, env=env).stdout)
    assert [row["identifier"] for row in rows] == ["a", "clean_up"]
    assert rows[0]["next"] is None
    assert datetime.fromisoformat(rows[1]["next"]).hour == 4


def test_the_crontab_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: str) -> None:
    named = ["worker", "--app", APP, "--database-url", "postgresql://127.0.0.1:1/d", "--once", "--crontab"]
    assert error_line(run_here(*named, str(tmp_path / "none")), 2).endswith("none: there is no such file")
    assert "line 2, column 3" in error_line(run_here(*named, write(tmp_path, BAD)), 2)
    items = load_crontab(write(tmp_path, GOOD))
    assert [item.identifier for item in items] == ["clean_up", "paris"]
    monkeypatch.chdir(tmp_path)
    assert load_crontab(None) == items
    (tmp_path / "crontab").unlink()
    assert load_crontab(None) == []


def test_a_worker_schedules_its_crontab(clean_database: str, tmp_path: Path) -> None:
    fetch(clean_database, KNOWN, "greet", datetime(2026, 5, 1, tzinfo=UTC), None)
    file = write(tmp_path, '* * * * * greet ?fill=1m {name: "cron"}\n')
    with started("worker", "--app", APP, "--crontab", file, "--database-url", clean_database) as running:
        running.wait_for("cron is greeted on asyncio")
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log


def test_once_leaves_the_crontab_alone(clean_database: str, tmp_path: Path) -> None:
    file = write(tmp_path, '* * * * * greet ?fill=1m {name: "cron"}\n')
    done = run("worker", "--app", APP, "--crontab", file, "--once", "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 0\n")
    assert "the crontab is not scheduled with --once" in done.stderr
    assert fetch(clean_database, "select from graphile_worker._private_known_crontabs") == []
