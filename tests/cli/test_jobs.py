"""``jobs``: what it lists, shows and explains, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.cli.command import error_line, fetch, run, run_here

ADD = """select (graphile_worker.add_job($1, $2::text::json, run_at => now() + $3::text::interval)).id"""
FAIL = """update graphile_worker._private_jobs
set attempts = max_attempts, last_error = e'Error: timed out\\nat line 7\\x1b[2J' where id = any ($1)"""


def add(url: str, task: str = "charge", payload: str = "{}", due: str = "0 s") -> int:
    [row] = fetch(url, ADD, task, payload, due)
    return int(row["id"])


def listed(url: str, *words: str) -> list[int]:
    done = run_here("jobs", "list", *words, "--json", "--database-url", url)
    assert (done.returncode, done.stderr) == (0, "")
    return [job["id"] for job in json.loads(done.stdout)["jobs"]]


@pytest.fixture
def three(clean_database: str) -> list[int]:
    """A failed job, a ready one, one that is due in an hour."""
    ids = [add(clean_database, due=due) for due in ("0 s", "0 s", "1 h")]
    fetch(clean_database, FAIL, ids[:1])
    return ids


def test_a_table(clean_database: str, three: list[int]) -> None:
    """The first line of the error, and nothing in it that acts on a terminal."""
    done = run("jobs", "list", "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (0, "")
    head, failed, ready, scheduled = done.stdout.splitlines()
    assert head.split() == [
        *("ID", "STATE", "TASK", "IDENTIFIER", "QUEUE", "NAME", "PRIORITY", "RUN", "AT", "ATTEMPTS", "LAST", "ERROR")
    ]
    assert failed.split()[:4] == [str(three[0]), "failed", "charge", "-"]
    assert failed.endswith(" 25/25  Error: timed out")
    assert ready.split()[1] == "ready"
    assert scheduled.split()[1] == "scheduled"


def test_filters(clean_database: str, three: list[int]) -> None:
    """Words, ids, a value with spaces that the shell has taken the quotes of, words with a dash."""
    failed, ready, later = three
    other = add(clean_database, "other")
    assert listed(clean_database, "state:failed") == [failed]
    assert listed(clean_database, str(ready), str(later)) == [ready, later]
    assert listed(clean_database, "error:timed out", "task:charge") == [failed]
    assert listed(clean_database, "state:failed task:charge") == [failed]
    assert listed(clean_database, 'error:"timed out"') == [failed]
    assert listed(clean_database, "-task:charge") == [other]
    assert listed(clean_database, "-flag:heavy-h", str(other)) == [other]
    assert listed(clean_database, "--newest", "--limit", "2") == [other, later]


def test_filters_that_cannot_be_meant(clean_database: str) -> None:
    options = ("--database-url", clean_database)
    line = error_line(run_here("jobs", "list", "stat:failed", *options), 2)
    assert line == "Error: filter: 'stat:failed': there is no field 'stat'; did you mean 'state'?"
    assert "No such option: --limt" in error_line(run_here("jobs", "list", "--limt", "3", *options), 2)
    assert "only waiting jobs have a turn" in error_line(run_here("jobs", "list", "--turn", *options), 2)
    assert "cursor" in error_line(run_here("jobs", "list", "--cursor", "x", *options), 2)


def test_pages(clean_database: str) -> None:
    """By the cursor that is told: on standard error, or in the JSON."""
    ids = [add(clean_database) for _ in range(5)]
    options = ("--database-url", clean_database, "--limit", "2")
    done = run_here("jobs", "list", "--csv", *options)
    told = "there may be more: --cursor "
    assert done.stderr.startswith(told)
    seen = [int(row["id"]) for row in csv.DictReader(io.StringIO(done.stdout))]
    cursor = done.stderr.removeprefix(told).strip()
    while cursor:
        page = json.loads(run_here("jobs", "list", "--json", "--cursor", cursor, *options).stdout)
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
    assert seen == ids


def test_counting(clean_database: str, three: list[int]) -> None:
    done = run_here("jobs", "list", "state:waiting", "--count", "--database-url", clean_database)
    assert (done.stdout, done.stderr) == ("2\n", "")
    done = run_here("jobs", "list", "task:none", "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no jobs\n")


def test_a_job_for_programs(clean_database: str) -> None:
    [row] = fetch(
        clean_database,
        "select (graphile_worker.add_job('t', '{\"a\": [1]}', 'q', '2030-01-01Z', 3, 'k', -5, array['b', 'a'])).id",
    )
    [job] = json.loads(run_here("jobs", "show", str(row["id"]), "--json", "--database-url", clean_database).stdout)
    made: Any = job.pop("created_at")
    assert job.pop("updated_at") == made
    assert job == {
        "id": row["id"],
        "state": "scheduled",
        "task_identifier": "t",
        "queue_name": "q",
        "priority": -5,
        "run_at": "2030-01-01T00:00:00Z",
        "attempts": 0,
        "max_attempts": 3,
        "last_error": None,
        "key": "k",
        "locked_by": None,
        "locked_at": None,
        "flags": ["a", "b"],
        "revision": 0,
        "payload": {"a": [1]},
    }


def test_a_job_for_people(clean_database: str, three: list[int]) -> None:
    done = run("jobs", "show", str(three[0]), "--database-url", clean_database)
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"id               {three[0]}", "state            failed"]
    assert lines[-3:] == ["payload          {}", "last_error       Error: timed out", f"{'':<17}at line 7\\x1b[2J"]


@pytest.mark.parametrize("payload", ["[" * 3000 + "]" * 3000, "1e999"])
def test_a_payload_that_python_cannot_parse(clean_database: str, payload: str) -> None:
    job = str(add(clean_database, payload=payload))
    for options in ((), ("--json",)):
        done = run_here("jobs", "show", job, *options, "--database-url", clean_database)
        assert done.returncode == 0, done.stderr
    [shown] = json.loads(done.stdout, parse_constant=pytest.fail)
    found = shown["payload"]
    text = found if isinstance(found, str) else json.dumps(found)  # newer interpreters parse deeper ones
    assert text == payload, "the text, where it is no JSON of Python's"


def test_ids_that_are_gone(clean_database: str, three: list[int]) -> None:
    """The others are shown; one line for each that is not there."""
    gone = three[-1] + 1
    done = run_here("jobs", "show", str(three[1]), str(gone), "--database-url", clean_database)
    assert done.returncode == 1
    assert done.stdout.startswith(f"id               {three[1]}\n")
    assert done.stderr == (
        f"There is no job {gone}: it was completed or removed, which both delete it, or it never was.\n"
    )
    done = run_here("jobs", "explain", str(gone), "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (1, f"{gone}: {done.stdout.partition(': ')[2]}")
    assert "There is no job" in done.stdout
    assert "is not a valid integer" in error_line(run_here("jobs", "show", "x", "--database-url", clean_database), 2)


def test_explain(clean_database: str, three: list[int]) -> None:
    """Every reason is a line."""
    done = run("jobs", "explain", *map(str, three), "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (0, "")
    failed, ready, later, unknown = done.stdout.splitlines()
    assert failed == (f"{three[0]}: It has failed permanently, 25 of 25 attempts are used up: Error: timed out")
    assert ready.startswith(f"{three[1]}: No worker lives that knows its task 'charge'")
    assert later.startswith(f"{three[2]}: It is due later: at ")
    assert unknown.startswith(f"{three[2]}: No worker lives")
    [found] = json.loads(run_here("jobs", "explain", str(three[1]), "--json", "--database-url", clean_database).stdout)
    assert found["id"] == three[1]
    assert [reason["kind"] for reason in found["reasons"]] == ["TaskUnknown"]
    assert found["snoozes"] is None


def test_explain_a_snoozed_job(clean_database: str) -> None:
    job = add(clean_database)
    row = "insert into graphile_worker._private_sqla_snoozes values ($1, 3, 'epoch', '2026-01-01Z', 'no report')"
    fetch(clean_database, row, job)
    done = run("jobs", "explain", str(job), "--database-url", clean_database)
    told = f"{job}: It was snoozed 3 times, last at 2026-01-01 00:00:00 UTC: no report"
    assert done.stdout.splitlines()[1:] == [told]
    [found] = json.loads(run_here("jobs", "explain", str(job), "--json", "--database-url", clean_database).stdout)
    assert found["snoozes"] == {"number": 3, "last_at": "2026-01-01T00:00:00Z", "reason": "no report"}
