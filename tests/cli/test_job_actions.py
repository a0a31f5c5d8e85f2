"""``jobs retry``, ``complete``, ``fail``, ``reschedule``, ``remove``: by ids, by filter, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from gw_sqla.admin import WhyLeftOut, chunks
from gw_sqla.cli import changing
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


def jobs_of(url: str) -> list[Any]:
    jobs: list[Any] = json.loads(run_here("jobs", "list", "--json", "--database-url", url).stdout)["jobs"]
    return jobs


def states(url: str) -> dict[str, str]:
    return {str(job["id"]): job["state"] for job in jobs_of(url)}


def test_retry_by_ids(clean_database: str, failed: list[int]) -> None:
    one, two, three = map(str, failed)
    done = run("jobs", "retry", one, three, "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 jobs were retried\n", "")
    assert states(clean_database) == {one: "ready", two: "failed", three: "ready"}


def test_retry_by_filter_later(clean_database: str, failed: list[int]) -> None:
    other = add(clean_database, "other")
    done = run_here("jobs", "retry", "state:failed", "--run-at", "1h", "--json", "--database-url", clean_database)
    assert json.loads(done.stdout) == {"retried": 3, "left_out": {}, "examples": []}
    assert states(clean_database) == {**{str(job): "scheduled" for job in failed}, str(other): "ready"}


def test_jobs_that_a_worker_has_are_left_out(clean_database: str, failed: list[int]) -> None:
    running = add(clean_database)
    fetch(clean_database, LOCK, running)
    done = run_here("jobs", "complete", "--all", "--yes", "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "3 jobs were completed\n")
    assert done.stderr == f"left out, a worker has it: {running} (pool-a)\n"
    assert states(clean_database) == {str(running): "locked"}
    done = run_here("jobs", "complete", str(running), "--yes", "--json", "--database-url", clean_database)
    assert json.loads(done.stdout) == {
        "completed": 0,
        "left_out": {"held": 1},
        "examples": [{"id": running, "why": "held", "locked_by": "pool-a"}],
    }
    assert (done.returncode, done.stderr) == (1, "")


def test_more_reasons_than_examples(capsys: pytest.CaptureFixture[str]) -> None:
    tally = chunks.Tally("retried", left_out=Counter({WhyLeftOut.HELD: 2, WhyLeftOut.GONE: 1}))
    changing._print_tally(tally, as_json=False)
    assert capsys.readouterr().err == "left out, a worker has it: 2 jobs\nleft out, gone: 1 job\n"


def test_ids_that_are_gone(clean_database: str, failed: list[int]) -> None:
    """The others are done, and it is an error."""
    done = run_here("jobs", "retry", str(failed[0]), str(failed[-1] + 1), "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (1, "1 job was retried\n")
    assert done.stderr == f"left out, gone: {failed[-1] + 1}\n"


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
    assert done.stdout.splitlines()[-1] == "3 jobs would be removed; nothing was done"
    assert len(done.stdout.splitlines()) == 5
    seen = json.loads(run_here(*command, "--json").stdout)
    assert (seen["count"], seen["held"], seen["is_exact"]) == (3, 0, True)
    assert [job["id"] for job in seen["samples"]] == failed
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


def test_editing(clean_database: str, tmp_path: Path) -> None:
    """From the command line, from a file; not what a worker has."""
    job, running = add(clean_database, payload='{"a": 1}'), add(clean_database)
    fetch(clean_database, LOCK, running)
    options = (str(job), str(running), "--yes", "--database-url", clean_database)
    done = run_here("jobs", "edit", "--payload", '{"a": 2}', *options)
    assert (done.returncode, done.stdout) == (1, "1 job was edited\n")
    assert done.stderr == f"left out, a worker has it: {running} (pool-a)\n"
    assert [row["payload"] for row in jobs_of(clean_database)] == [{"a": 2}, {}]
    (tmp_path / "payload.json").write_text('{"a": 3}')
    assert run_here("jobs", "edit", "--payload-file", str(tmp_path / "payload.json"), *options).returncode == 1
    assert jobs_of(clean_database)[0]["payload"] == {"a": 3}
    assert "give the payload" in error_line(run_here("jobs", "edit", *options), 2)
    assert "payload: is not JSON" in error_line(run_here("jobs", "edit", "--payload", "{", *options), 2)


def test_copying(clean_database: str, failed: list[int]) -> None:
    done = run_here("jobs", "copy", str(failed[0]), "--database-url", clean_database)
    copied = max(job["id"] for job in jobs_of(clean_database))
    assert (done.returncode, done.stdout) == (0, f"1 job was copied\nthe copies: {copied}\n")
    assert states(clean_database)[str(copied)] == "ready"


def test_the_audit(clean_database: str, failed: list[int]) -> None:
    """A line for who names themselves, on the command line or by the variable."""
    options = ("--database-url", clean_database)
    assert run_here("audit", *options).stderr == "nothing was done by anybody who named themselves\n"
    run("jobs", "retry", str(failed[0]), *options, env={"GW_SQLA_ACTOR": "ada"})
    run_here("jobs", "fail", "task:charge", "--yes", "--actor", "bob", *options)
    run_here("jobs", "retry", "task:charge", *options)
    lines = json.loads(run_here("audit", "--json", *options).stdout)
    assert [(line["actor"], line["action"], line["subject"], line["jobs"]) for line in lines] == [
        ("bob", "fail", "task:charge", 3),
        ("ada", "retry", f"id:{failed[0]}", 1),
    ]
    done = run_here("audit", "--limit", "1", *options)
    assert done.stderr == f"there may be more: --before {lines[0]['id']}\n"
    assert run_here("audit", "--before", str(lines[0]["id"]), "--csv", *options).stdout.count("ada") == 1


@pytest.mark.parametrize("words", [(), ("--all", "state:failed")])
def test_which_jobs_must_be_said(clean_database: str, words: tuple[str, ...]) -> None:
    line = error_line(run_here("jobs", "retry", *words, "--database-url", clean_database), 2)
    assert "say which jobs: their ids, a filter, or --all (and not both)" in line


def test_a_cursor_that_is_none(clean_database: str, failed: list[int]) -> None:
    line = error_line(run_here("jobs", "retry", "--all", "--cursor", "x", "--database-url", clean_database), 2)
    assert line == "Error: cursor: 'x' is none that acting has returned"


KEYED = "select (graphile_worker.add_job('charge', job_key => $1)).id"


def keyed(url: str, key: str) -> int:
    [row] = fetch(url, KEYED, key)
    return int(row["id"])


def test_removing_by_key(clean_database: str) -> None:
    """It asks; what waits is deleted."""
    options = ("--database-url", clean_database)
    kept = keyed(clean_database, "kept")
    keyed(clean_database, "a b,c")
    done = run_here("jobs", "remove", "--key", "a b,c", "--dry-run", *options)
    assert done.stdout.splitlines()[-1] == "1 job would be removed; nothing was done"
    assert json.loads(run_here("jobs", "remove", "--key", "kept", "--dry-run", "--json", *options).stdout)["count"] == 1
    assert "Remove 1 job? There is no terminal to ask" in error_line(
        run_here("jobs", "remove", "--key", "a b,c", *options), 2
    )
    done = run("jobs", "remove", "--key", "a b,c", "--yes", "--actor", "ada", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 job was removed\n", "")
    assert listed(clean_database) == [kept]
    for more in ((), ("--yes",), ("--dry-run",)):
        line = error_line(run_here("jobs", "remove", "--key", "a b,c", *more, *options), 1)
        assert line == "Error: no job has the key 'a b,c': nothing was done"
    done = run_here("jobs", "remove", "--key", "kept", "--yes", "--json", *options)
    assert json.loads(done.stdout) == {"removed": 1, "id": kept, "locked_by": None}
    [line] = json.loads(run_here("audit", "--json", *options).stdout)
    assert (line["action"], line["subject"], line["jobs"]) == ("remove", 'key:"a b,c"', 1)


def test_removing_by_key_what_a_worker_has(clean_database: str) -> None:
    job = keyed(clean_database, "k")
    fetch(clean_database, LOCK, job)
    command = ("jobs", "remove", "--key", "k", "--database-url", clean_database)
    done = run_here(*command, "--dry-run")
    assert done.stdout.splitlines()[-1] == "1 job would not be tried again, as a worker has it; nothing was done"
    done = run_here(*command, "--yes", "--json")
    assert json.loads(done.stdout) == {"removed": 0, "id": job, "locked_by": "pool-a"}
    [row] = fetch(clean_database, f"select key, attempts, max_attempts, locked_by from {JOBS}")
    assert row == {"key": None, "attempts": 25, "max_attempts": 25, "locked_by": "pool-a"}


@pytest.mark.parametrize("more", [("7",), ("--all",), ("--cursor", "7"), ("task:a",)])
def test_a_key_says_it_all(clean_database: str, more: tuple[str, ...]) -> None:
    command = ("jobs", "remove", "--key", "k", *more, "--yes", "--database-url", clean_database)
    assert "--key is one job" in error_line(run_here(*command), 2)


def test_nothing_fits(clean_database: str) -> None:
    done = run_here("jobs", "remove", "task:none", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: no jobs fit: nothing was done\n")
    done = run_here("jobs", "retry", "task:none", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no job was retried\n", "")


def test_many_chunks(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job once; none that came meanwhile: a chunk's trigger adds one."""
    monkeypatch.setattr(chunks, "_CHUNK", 2)
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
    monkeypatch.setattr(chunks, "_CHUNK", 2)
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
    cursor = f"{ids[1]}-{ids[4]}"
    assert told == f"2 jobs were retried; to go on behind those that were: --cursor {cursor}"
    assert error.startswith("Error: the connection to the database was lost: ")
    assert list(states(clean_database).values()) == ["ready"] * 2 + ["failed"] * 3
    add(clean_database)
    done = run_here("jobs", "retry", "--all", "--cursor", cursor, "--database-url", clean_database)
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
    told = "no job was retried; whether 2 more were is not certain, as their commit failed"
    assert done.stderr.splitlines()[0] == told
    assert [job["id"] for job in jobs_of(clean_database)] == ids


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
    assert run_here("pauses", "--database-url", reader).stderr == "nothing is paused\n"
    assert "--as admin --apply" in error_line(run_here("pause", "--everything", "--database-url", reader), 1)


def test_a_database_that_is_serializable_by_default(clean_database: str) -> None:
    """Beside others that change jobs, that level ends an action by an error."""
    add(clean_database)
    name = make_url(clean_database).database
    asyncio.run(execute(clean_database, f"alter database {name} set default_transaction_isolation = 'serializable'"))
    asyncio.run(
        execute(
            clean_database,
            "create function level() returns trigger language plpgsql as $$ begin "
            "new.last_error = current_setting('transaction_isolation'); return new; end $$; "
            f"create trigger level before update on {JOBS} for each row execute function level()",
        )
    )
    try:
        done = run_here("jobs", "reschedule", "--all", "--priority", "3", "--database-url", clean_database)
    finally:
        asyncio.run(execute(clean_database, "drop function level() cascade"))
        asyncio.run(execute(clean_database, f"alter database {name} reset default_transaction_isolation"))
    assert done.stdout == "1 job was rescheduled\n"
    assert jobs_of(clean_database)[0]["last_error"] == "read committed"


def test_no_rights_at_all_and_no_schema(server: Server, clean_database: str) -> None:
    options = ("--schema", "none", "--database-url", clean_database)
    assert "there is no Graphile Worker schema 'none'" in error_line(run_here("jobs", "list", *options), 1)
    assert "there is no Graphile Worker schema 'none'" in error_line(run_here("jobs", "retry", "--all", *options), 1)
