"""``pause``, ``resume``, ``pauses`` and ``cleanup``."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.cli.command import APP, error_line, fetch, run, run_here
from tests.cli.on_terminal import on_terminal
from tests.cli.test_jobs import FAIL, add
from tests.support.server import Server, execute


def pauses(url: str) -> list[Any]:
    found: list[Any] = json.loads(run_here("pauses", "--json", "--database-url", url).stdout)
    return found


def test_a_task_is_paused_and_resumed(clean_database: str) -> None:
    """A worker leaves it alone until then."""
    options = ("--database-url", clean_database)
    add(clean_database, "greet", '{"name": "Ada"}')
    done = run_here("pause", "--task", "greet", "--reason", "provider down", "--actor", "ada", *options)
    assert (done.returncode, done.stdout) == (0, "paused: task 'greet', by ada: provider down\n")
    assert done.stderr == "workers of Graphile Worker (Node.js and Rust) know no pauses: stop those\n"
    [pause] = pauses(clean_database)
    assert pause.pop("paused_at")
    assert pause == {"kind": "task", "name": "greet", "until": None, "paused_by": "ada", "reason": "provider down"}
    assert run("worker", "--once", "--app", APP, *options).stdout == "completed 0, failed 0\n"
    done = run_here("resume", "--task", "greet", *options)
    assert (done.returncode, done.stdout) == (0, "resumed: task 'greet', by ada: provider down\n")
    assert "completed 1, failed 0" in run("worker", "--once", "--app", APP, *options).stdout
    done = run_here("pauses", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing is paused\n")


def test_until_a_time(clean_database: str) -> None:
    """From now on, or a time; everything is resumed at once."""
    options = ("--database-url", clean_database)
    run_here("pause", "--queue", "customer:1", "--until", "2h", *options)
    run_here("pause", "--everything", "--until", "2090-01-01T00:00:00Z", *options)
    everything, queue = sorted(pauses(clean_database), key=lambda pause: str(pause["kind"]))
    assert everything["until"] == "2090-01-01T00:00:00Z"
    assert (queue["kind"], queue["name"], queue["until"] > queue["paused_at"]) == ("queue", "customer:1", True)
    assert len(run_here("pauses", *options).stdout.splitlines()) == 3
    done = run_here("resume", "--everything", *options)
    assert len(done.stdout.splitlines()) == 2
    assert pauses(clean_database) == []


def test_what_cannot_be_paused(clean_database: str) -> None:
    options = ("--database-url", clean_database)
    for command in ("pause", "resume"):
        assert "say what: --task NAME, --queue NAME" in error_line(run_here(command, *options), 2)
        assert "one of them" in error_line(run_here(command, "--task", "a", "--everything", *options), 2)
    line = error_line(run_here("resume", "--task", "greet", *options), 1)
    assert line == "Error: nothing of it was paused: see pauses"
    assert "is not an ISO 8601 time" in error_line(run_here("pause", "--task", "a", "--until", "noon", *options), 2)


@pytest.fixture
def old(clean_database: str) -> list[int]:
    """Two jobs that failed for good, one of them nine days ago; an unused queue and two unused tasks."""
    ids = [add(clean_database) for _ in range(2)]
    fetch(clean_database, FAIL, ids)
    age = "update graphile_worker._private_jobs "
    age += "set run_at = now() - interval '9 days', updated_at = now() - interval '9 days' where id = $1"
    fetch(clean_database, age, ids[0])
    fetch(clean_database, "insert into graphile_worker._private_job_queues (queue_name) values ('unused')")
    fetch(clean_database, "insert into graphile_worker._private_tasks (identifier) values ('unused'), ('kept')")
    return ids


def test_a_cleanup(clean_database: str, old: list[int]) -> None:
    """Of names without asking; of jobs when it is confirmed."""
    options = ("--database-url", clean_database)
    done = run_here("cleanup", "--keep-task", "kept", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 tasks, 1 queues and 0 failed jobs removed\n"
    line = error_line(run_here("cleanup", "--failed-after", "7d", *options), 2)
    assert "Delete all jobs that failed for good more than 7 days ago?" in line
    assert "add --yes if you mean it" in line
    code, shown = on_terminal("-m", "gw_sqla", "cleanup", "--failed-after", "7d", "--no-tasks", *options, types="y\n")
    assert code == 0, shown
    assert "0 tasks, 0 queues and 1 failed jobs removed" in shown
    assert [row["id"] for row in fetch(clean_database, "select id from graphile_worker._private_jobs")] == old[1:]


def test_a_cleanup_for_programs(clean_database: str, old: list[int]) -> None:
    done = run_here("cleanup", "--no-queues", "--json", "--database-url", clean_database)
    assert json.loads(done.stdout) == {"tasks": 2, "queues": 0, "failed_jobs": 0, "restored": 0, "forwarded": 0}


def test_a_dry_run(clean_database: str, old: list[int]) -> None:
    """Nobody is asked, for nothing is done."""
    command = ("cleanup", "--failed-after", "7d", "--keep-task", "kept", "--dry-run", "--database-url", clean_database)
    done = run("cleanup", *command[1:])
    told = "1 task, 1 queue and 1 failed job would be removed; nothing was done\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    seen = json.loads(run_here(*command, "--json").stdout)
    assert seen == {"tasks": 1, "queues": 1, "failed_jobs": 1, "restored": 0, "forwarded": 0}
    assert len(fetch(clean_database, "select id from graphile_worker._private_jobs")) == 2


ROLE = f"gw_sqla_cli_cleaner_{os.getpid()}"


@pytest.fixture(params=["admin", "cleaner", "reader"])
def role(request: pytest.FixtureRequest, server: Server, clean_database: str) -> Iterator[tuple[str, str]]:
    """A kind of role, and the URL of one that was granted its rights."""
    server.execute(f"create role {ROLE} login password 'secret'")
    given = run_here("grants", ROLE, "--as", request.param, "--apply", "--database-url", clean_database)
    assert given.returncode == 0, given.stderr
    url = make_url(clean_database).set(username=ROLE, password="secret")
    yield request.param, url.render_as_string(hide_password=False)
    asyncio.run(execute(clean_database, f"drop owned by {ROLE}"))
    server.execute(f"drop role {ROLE}")


def test_whose_rights_it_takes(role: tuple[str, str], old: list[int]) -> None:
    """Those of an admin, or of a worker that cleans up; a line only an admin may leave, and a reader may look."""
    kind, url = role
    if kind == "cleaner":
        assert "--as reader --apply" in error_line(run_here("cleanup", "--dry-run", "--database-url", url), 1)
    else:
        assert "1 queue and" in run_here("cleanup", "--dry-run", "--database-url", url).stdout
    done = run_here("cleanup", "--actor", "ada", "--database-url", url)
    if kind != "admin":
        assert "--as admin --apply" in error_line(done, 1)
        done = run_here("cleanup", "--database-url", url)
    if kind == "reader":
        assert "--as admin --apply" in error_line(done, 1)
    else:
        assert done.stdout == "2 tasks, 1 queues and 0 failed jobs removed\n", done.stderr


def test_who_names_themselves_is_in_the_audit(clean_database: str, old: list[int]) -> None:
    options = ("--actor", "ada", "--database-url", clean_database)
    run("pause", "--task", "greet", *options)
    run_here("resume", "--everything", *options)
    run_here("cleanup", *options)
    lines = json.loads(run_here("audit", "--json", "--database-url", clean_database).stdout)
    assert [(line["actor"], line["action"], line["subject"]) for line in lines] == [
        ("ada", "cleanup", "unused tasks, unused queues"),
        ("ada", "resume", "everything"),
        ("ada", "pause", "task:greet"),
    ]


@pytest.mark.parametrize(
    ("age", "says"),
    [("2026-01-01T00:00:00Z", "is a time"), ("old", "is no duration"), ("99999999w", "is longer ago than any job")],
)
def test_ages_that_are_none(clean_database: str, age: str, says: str) -> None:
    command = ("cleanup", "--failed-after", age, "--yes", "--database-url", clean_database)
    assert says in error_line(run_here(*command), 2)


def test_a_schema_that_nobody_has_migrated(server: Server) -> None:
    """There are no pauses in it, and can be none before it is migrated."""
    url = server.create_database()
    try:
        assert run_here("migrate", "--database-url", url).returncode == 0
        for name in ("pauses", "alembic_version"):
            asyncio.run(execute(url, f"drop table graphile_worker._private_sqla_{name}"))
        line = error_line(run_here("pause", "--everything", "--database-url", url), 1)
        says = "schema 'graphile_worker' has no table _private_sqla_pauses, so nothing can be paused"
        assert line == f"Error: {says}: run 'python -m gw_sqla migrate'"
        line = error_line(run_here("resume", "--everything", "--database-url", url), 1)
        assert line == "Error: nothing of it was paused: see pauses"
        listed = run_here("pauses", "--json", "--database-url", url)
        assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    finally:
        server.drop_database(url)


def test_a_pause_that_is_over(clean_database: str) -> None:
    options = ("pause", "--everything", "--database-url", clean_database, "--until")
    line = error_line(run_here(*options, "2020-01-01T00:00:00Z"), 2)
    assert line == "Error: until: 2020-01-01 00:00:00+0000 is over: nothing would be paused"
    assert "until: " in error_line(run_here(*options, "0s"), 2)
    assert "Error: until: 699999993 days" in error_line(run_here(*options, "99999999w"), 2)
    assert pauses(clean_database) == []
