"""``add --jobs``: many jobs of JSON Lines; bad lines add nothing, and a fault in the middle is told exactly."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from gw_sqla.cli import add_lines
from tests.cli.command import APP, ROOT, environment, error_line, fetch, run, run_here
from tests.cli.test_add import JOBS

COUNT = "select count(*)::int as count from graphile_worker.jobs"


def lines(*jobs: object) -> bytes:
    return "".join(f"{json.dumps(job)}\n" for job in jobs).encode()


def count(url: str) -> int:
    [row] = fetch(url, COUNT)
    return int(row["count"])


def test_what_a_line_says_wins(clean_database: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    whole = {
        "task": "other",
        "payload": [1],
        "queue_name": "q",
        "run_at": "2030-01-31T08:00:00+02:00",
        "max_attempts": 3,
        "job_key": "k",
        "priority": -5,
        "flags": ["a"],
    }
    file.write_bytes(
        lines(whole, {}) + b"\n  \n" + lines({"payload": {"n": 12345678901234567890}, "run_at": None})[:-1]
    )
    options = ("--jobs", str(file), "--priority", "7", "--run-at", "2031-01-01T00:00:00Z", "--flag", "b")
    done = run("add", "greet", *options, "--database-url", clean_database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "added 3 jobs\n", "")
    rows = fetch(clean_database, f"{JOBS} order by key, jobs.id")
    plain = {"queue_name": None, "max_attempts": 25, "key": None, "priority": 7, "flags": '{"b": true}'}
    plain |= {"identifier": "greet", "run_at": "2031-01-01T00:00:00"}
    assert [{**row, "id": None} for row in rows] == [
        {
            "id": None,
            "identifier": "other",
            "payload": "[1]",
            "queue_name": "q",
            "run_at": "2030-01-31T06:00:00",
            "max_attempts": 3,
            "key": "k",
            "priority": -5,
            "flags": '{"a": true}',
        },
        {"id": None, "payload": "{}", **plain},
        {"id": None, "payload": '{"n":12345678901234567890}', **plain},
    ]


GOOD = {"task": "greet", "payload": {"name": "Ada"}}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"{bad", ": is not JSON: Expecting"),
        (b"[1]", "must be an object such as"),
        (b'{"payload": 1}', "has no task: name it in the line"),
        (b'{"task": 5}', "has no task"),
        (b'{"task": ""}', "task_identifier: must have 1 to 128 characters"),
        (b'{"task": "t", "queue": "q"}', "there is no 'queue': did you mean queue_name?"),
        (b'{"task": "t", "xyz": 1}', "there is no 'xyz': there are task, payload, "),
        (b'{"task": "t", "payload": null}', "payload: is null"),
        (b'{"task": "t", "payload": "\\u0000"}', "NUL character"),
        (b'{"task": "t", "payload": NaN}', ": is not JSON: "),
        (b'{"task": "t", "run_at": 5}', "run_at: 5 is not an ISO 8601 time"),
        (b'{"task": "t", "run_at": "2030-01-31"}', "run_at: '2030-01-31' has no time zone"),
        (b'{"task": "t", "priority": "high"}', "priority: must be"),
        (b'{"task": "t", "flags": "a"}', "flags: must be"),
        (b'{"task": "t", "job_key": "k"}\n{"task": "t", "job_key": "k"}', "job_key: line 2 has it too"),
    ],
)
def test_a_bad_line_adds_nothing(clean_database: str, bad: bytes, says: str) -> None:
    given = lines(GOOD) + bad + b"\n" + lines(GOOD)
    line = error_line(run_here("add", "--jobs", "-", "--database-url", clean_database, stdin=given), 2)
    assert re.match(r"Error: standard input, line [23]: ", line)
    assert says in line
    assert count(clean_database) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--jobs", "no/such/file"), "no/such/file: No such file"),
        (("--jobs", "-", "--payload", "1"), "leave --payload and --payload-file out"),
        (("--jobs", "-", "--job-key", "k"), "give the keys in the lines"),
        (("--jobs", "-", "--job-key-mode", "unsafe_dedupe"), "replace and preserve_run_at only"),
        (("--jobs", "-", "--app", APP), "line 1: payload: does not fit its task: name: Field required"),
        (("--jobs", "-", "--from-line", "0"), "'--from-line'"),
    ],
)
def test_wrong_usage(clean_database: str, options: tuple[str, ...], says: str) -> None:
    given = lines({"payload": {"nome": "Ada"}})
    assert says in error_line(run_here("add", "greet", *options, "--database-url", clean_database, stdin=given), 2)
    assert count(clean_database) == 0


def test_a_key_that_a_job_has(clean_database: str) -> None:
    """It is replaced; its time too, unless that is to be kept."""
    keyed = {"task": "t", "job_key": "k"}
    options = ("--jobs", "-", "--database-url", clean_database)
    for run_at, mode in (("2030-01-01T00:00:00Z", "replace"), ("2031-01-01T00:00:00Z", "preserve_run_at")):
        given = lines({**keyed, "run_at": run_at})
        assert run_here("add", "--job-key-mode", mode, *options, stdin=given).returncode == 0
    assert [row["run_at"] for row in fetch(clean_database, JOBS)] == ["2030-01-01T00:00:00"]


def test_a_fault_in_the_middle(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks before it stay, its own is undone; the next try goes on with the line that is told."""
    monkeypatch.setattr(add_lines, "_MOST_JOBS", 2)
    jobs = "graphile_worker._private_jobs"
    fetch(clean_database, f"alter table {jobs} add constraint no_four check (payload::text <> '4')")
    given = b"\n" + lines(*({"payload": number} for number in range(1, 8)))
    options = ("greet", "--jobs", "-", "--database-url", clean_database)
    try:
        done = run_here("add", *options, stdin=given)
    finally:
        fetch(clean_database, f"alter table {jobs} drop constraint no_four")
    assert (done.returncode, done.stdout) == (1, "")
    told, error = done.stderr.splitlines()
    assert told == "standard input: 2 jobs were added, up to line 3; to go on: --from-line 4"
    assert "no_four" in error
    assert count(clean_database) == 2
    done = run_here("add", *options, "--from-line", "4", stdin=given)
    assert (done.returncode, done.stdout) == (0, "added 5 jobs\n")
    assert [row["payload"] for row in fetch(clean_database, f"{JOBS} order by jobs.id")] == list("1234567")


def test_a_commit_that_fails(clean_database: str) -> None:
    """Nobody can be sure of its chunk."""
    fetch(
        clean_database,
        "create function refuse() returns trigger language plpgsql as 'begin raise exception $$no$$; end'",
    )
    fetch(
        clean_database,
        "create constraint trigger refuse after insert on graphile_worker._private_jobs "
        "deferrable initially deferred for each row execute function refuse()",
    )
    try:
        done = run_here("add", "greet", "--jobs", "-", "--database-url", clean_database, stdin=lines({}, {}))
    finally:
        fetch(clean_database, "drop function refuse() cascade")
    assert done.returncode == 1
    told = "standard input: no job was added; whether those of lines 1 to 2 were is not certain, as their commit failed"
    assert done.stderr.splitlines()[0] == told


def test_a_terminal_has_a_progress_bar(clean_database: str, tmp_path: Path) -> None:
    """On standard error; nothing of it where that is a file."""
    file = tmp_path / "jobs.jsonl"
    file.write_bytes(lines(*({"payload": number} for number in range(100))))
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        pytest.skip(f"no terminals here: {error}")  # a chroot without /dev/pts
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gw_sqla", "add", "greet", "--jobs", file, "--database-url", clean_database],
            env=environment({"TERM": "xterm"}),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        shown = ""
        while "adding" not in shown or "100%" not in shown.partition("adding")[2]:
            assert select.select([ours], [], [], 0)[0], shown
            shown += os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b"added 100 jobs\n"), shown
    assert "checking" in shown
