"""``jobs retry``, ``complete``, ``fail``, ``reschedule``, ``remove``: by ids, by filter, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from gw_sqla.cli import bulk
from tests.cli.command import error_line, fetch, run, run_here
from tests.cli.on_terminal import on_terminal
from tests.cli.test_jobs import FAIL, add, listed
from tests.support.server import Server, execute

ROLE = f"gw_sqla_cli_reader_{os.getpid()}"
LOCK = "update graphile_worker._private_jobs set locked_by = 'pool-a', locked_at = now() where id = $1"
JOBS = "graphile_worker._private_jobs"


@pytest.fixture
def failed(clean_database: str) -> list[int]:
    """Three jobs that failed for good."""
    ids = [add(clean_database) for _ in range(3)]
    fetch(clean_database, FAIL, ids)
    return ids


def states(url: str) -> dict[str, str]:
    done = run_here("jobs", "list", "--json", "--database-url", url)
    return {str(job["id"]): job["state"] for job in json.loads(done.stdout)["jobs"]}


def test_retry_by_ids(clean_database: str, failed: list[int]) -> None:
    one, two, three = map(str, failed)
    done = run("jobs", "retry", one, three, "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 jobs were retried\n", "")
    assert states(clean_database) == {one: "ready", two: "failed", three: "ready"}


def test_retry_by_filter_later(clean_database: str, failed: list[int]) -> None:
    other = add(clean_database, "other")
    done = run_here("jobs", "retry", "state:failed", "--run-at", "1h", "--json", "--database-url", clean_database)
    assert json.loads(done.stdout) == {"retried": 3, "left_out": []}
    assert states(clean_database) == {**{str(job): "scheduled" for job in failed}, str(other): "ready"}


def test_jobs_that_a_worker_has_are_left_out(clean_database: str, failed: list[int]) -> None:
    running = add(clean_database)
    fetch(clean_database, LOCK, running)
    done = run_here("jobs", "complete", "--all", "--yes", "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "3 jobs were completed\n")
    assert done.stderr == f"1 left out, as workers have them or they are gone: {running}\n"
    assert states(clean_database) == {str(running): "locked"}


def test_ids_that_are_gone(clean_database: str, failed: list[int]) -> None:
    """The others are done, and it is an error."""
    done = run_here("jobs", "retry", str(failed[0]), str(failed[-1] + 1), "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (1, "1 job was retried\n")
    assert done.stderr == "Error: 1 of the jobs that were named are gone, or do not fit the filter\n"


@pytest.mark.parametrize("action", ["complete", "remove", "fail"])
def test_what_destroys_asks(clean_database: str, failed: list[int], action: str) -> None:
    """On a terminal; without one it wants --yes."""
    command = ("jobs", action, "task:charge", "--database-url", clean_database)
    line = error_line(run_here(*command, stdin=b"y\n"), 2)
    assert f"{action.capitalize()} 3 jobs? There is no terminal to ask: add --yes if you mean it" in line
    code, shown = on_terminal("-m", "gw_sqla", *command, types="n\n")
    assert code == 130
    assert f"{action.capitalize()} 3 jobs? [y/N]:" in shown
    assert list(states(clean_database).values()) == ["failed"] * 3
    code, shown = on_terminal("-m", "gw_sqla", *command, types="y\n")
    assert code == 0, shown
    assert f"3 jobs were {action.removesuffix('e')}ed" in shown


def test_dry_runs(clean_database: str, failed: list[int]) -> None:
    command = ("jobs", "remove", "state:failed", "--dry-run", "--database-url", clean_database)
    done = run_here(*command)
    assert done.stdout.splitlines()[-1] == "3 jobs would be removed, but for those that a worker has; nothing was done"
    assert len(done.stdout.splitlines()) == 5
    seen = json.loads(run_here(*command, "--json").stdout)
    assert (seen["count"], seen["is_exact"], [job["id"] for job in seen["samples"]]) == (3, True, failed)
    assert listed(clean_database) == failed


def test_failing(clean_database: str) -> None:
    job = str(add(clean_database))
    command = ("jobs", "fail", job, "--message", "not wanted", "--yes", "--database-url", clean_database)
    assert run_here(*command).stdout == "1 job was failed\n"
    assert fetch(clean_database, f"select last_error from {JOBS}") == [{"last_error": "not wanted"}]


def test_rescheduling(clean_database: str) -> None:
    job = str(add(clean_database))
    options = ("--database-url", clean_database)
    changes = ("--run-at", "2030-01-01T00:00:00Z", "--priority", "-3", "--max-attempts", "7")
    assert run_here("jobs", "reschedule", job, *changes, *options).stdout == "1 job was rescheduled\n"
    [row] = fetch(clean_database, f"select priority, max_attempts, attempts, run_at > now() as later from {JOBS}")
    assert row == {"priority": -3, "max_attempts": 7, "attempts": 0, "later": True}
    assert "nothing to change" in error_line(run_here("jobs", "reschedule", job, *options), 2)
    line = error_line(run_here("jobs", "reschedule", job, "--priority", "99999", *options), 2)
    assert "99999 is not in the range -32768<=x<=32767" in line


@pytest.mark.parametrize("words", [(), ("--all", "state:failed")])
def test_which_jobs_must_be_said(clean_database: str, words: tuple[str, ...]) -> None:
    line = error_line(run_here("jobs", "retry", *words, "--database-url", clean_database), 2)
    assert "say which jobs: their ids, a filter, or --all (and not both)" in line


def test_nothing_fits(clean_database: str) -> None:
    done = run_here("jobs", "remove", "task:none", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no jobs fit: nothing was done\n")
    done = run_here("jobs", "retry", "task:none", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no job was retried\n", "")


def test_many_chunks(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job once; none that came meanwhile: a chunk's trigger adds one."""
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    ids = [add(clean_database) for _ in range(7)]
    asyncio.run(
        execute(
            clean_database,
            "create function more() returns trigger language plpgsql as $$ begin "
            "perform graphile_worker.add_job('charge'); return null; end $$; "
            f"create trigger more after update on {JOBS} for each statement execute function more()",
        )
    )
    try:
        done = run_here("jobs", "reschedule", "--all", "--priority", "3", "--database-url", clean_database)
    finally:
        asyncio.run(execute(clean_database, "drop function more() cascade"))
    assert (done.returncode, done.stdout) == (0, "7 jobs were rescheduled\n")
    rows = fetch(clean_database, f"select id from {JOBS} where priority = 3 order by id")
    assert [row["id"] for row in rows] == ids


def test_a_server_that_goes_away_in_the_middle(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done, what was not, how to go on; and going on does the rest."""
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    ids = [add(clean_database) for _ in range(5)]
    fetch(clean_database, FAIL, ids)
    asyncio.run(
        execute(
            clean_database,
            "create function ends() returns trigger language plpgsql as $$ begin "
            "perform pg_terminate_backend(pg_backend_pid()); return new; end $$; "
            f"create trigger ends before update on {JOBS} for each row when (old.id = {ids[3]}) "
            "execute function ends()",
        )
    )
    try:
        done = run_here("jobs", "retry", "state:failed", "--database-url", clean_database)
    finally:
        asyncio.run(execute(clean_database, "drop function ends() cascade"))
    assert (done.returncode, done.stdout) == (1, "")
    told, error = done.stderr.splitlines()
    assert told == f"2 jobs were retried; to go on behind them, add to the filter: id:>{ids[1]}"
    assert error.startswith("Error: database: ")
    assert list(states(clean_database).values()) == ["ready"] * 2 + ["failed"] * 3
    done = run_here("jobs", "retry", "state:failed", f"id:>{ids[1]}", "--database-url", clean_database)
    assert done.stdout == "3 jobs were retried\n"


def test_a_commit_whose_answer_is_lost(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows, and it says so."""
    ids = [add(clean_database) for _ in range(2)]
    asyncio.run(
        execute(
            clean_database,
            "create function ends() returns trigger language plpgsql as $$ begin "
            "perform pg_terminate_backend(pg_backend_pid()); return null; end $$; "
            f"create constraint trigger ends after update on {JOBS} deferrable initially deferred "
            "for each row execute function ends()",
        )
    )
    try:
        done = run_here("jobs", "retry", "--all", "--database-url", clean_database)
    finally:
        asyncio.run(execute(clean_database, "drop function ends() cascade"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        f"no job was retried; whether those with ids {ids[0]} to {ids[1]} were is not certain, as their commit failed"
    )


@pytest.fixture
def reader(server: Server, clean_database: str) -> Iterator[str]:
    """The URL of a role that may read and not write."""
    server.execute(f"create role {ROLE} login password 'secret'")
    given = run_here("grants", ROLE, "--as", "reader", "--apply", "--database-url", clean_database)
    assert given.returncode == 0, given.stderr
    yield make_url(clean_database).set(username=ROLE, password="secret").render_as_string(hide_password=False)
    asyncio.run(execute(clean_database, f"drop owned by {ROLE}"))
    server.execute(f"drop role {ROLE}")


def test_a_role_that_may_read_and_not_write(reader: str, failed: list[int]) -> None:
    assert listed(reader, "state:failed") == failed
    assert run_here("jobs", "explain", str(failed[0]), "--database-url", reader).returncode == 0
    line = error_line(run_here("jobs", "retry", "--all", "--database-url", reader), 1)
    assert line.startswith(f"Error: role '{ROLE}' lacks rights in schema 'graphile_worker' (")
    assert f"python -m gw_sqla grants {ROLE} --as admin --apply" in line


def test_no_rights_at_all_and_no_schema(server: Server, clean_database: str) -> None:
    options = ("--schema", "none", "--database-url", clean_database)
    assert "there is no Graphile Worker schema 'none'" in error_line(run_here("jobs", "list", *options), 1)
    assert "there is no Graphile Worker schema 'none'" in error_line(run_here("jobs", "retry", "--all", *options), 1)
