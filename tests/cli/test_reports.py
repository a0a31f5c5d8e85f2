"""``failures``, ``tasks``, ``queues``, ``workers``, ``stats``: what they print, and what ``workers`` changes."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.cli.command import error_line, fetch, run, run_here, started
from tests.cli.test_jobs import FAIL, add

REGISTER = """insert into graphile_worker._private_sqla_workers
values ($1, now(), now() - $2::text::interval, '1 min', $3::text::jsonb)"""
LOCK = """update graphile_worker._private_jobs set locked_by = $2, locked_at = now() - $3::text::interval, attempts = 1
where id = $1"""
FACTS = '{"host": "box", "pid": 7, "version": "0.1.0", "concurrency": 4, "tasks": ["charge"]}'


def printed(url: str, *arguments: str) -> Any:
    done = run_here(*arguments, "--json", "--database-url", url)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def trouble(clean_database: str) -> dict[str, int]:
    """A worker that lives, one that is dead and has a job, one that nobody knows and has a job, failures."""
    url = clean_database
    fetch(url, REGISTER, "pool-alive", "1 s", FACTS)
    fetch(url, REGISTER, "pool-dead", "1 h", FACTS)
    jobs = {name: add(url) for name in ("dead", "foreign", "first", "second", "ready")}
    fetch(url, LOCK, jobs["dead"], "pool-dead", "2 h")
    fetch(url, LOCK, jobs["foreign"], "worker-of-node", "5 h")
    fetch(url, FAIL, [jobs["first"], jobs["second"]])
    fetch(url, "select graphile_worker.add_job('other', queue_name => 'q')")
    fetch(
        url,
        "update graphile_worker._private_job_queues set locked_by = 'pool-dead', locked_at = now() - interval '1 h'",
    )
    return jobs


def test_failures(clean_database: str, trouble: dict[str, int]) -> None:
    [group] = printed(clean_database, "failures")
    assert (group["jobs"], group["task_identifier"], group["sample"]) == (2, "charge", trouble["second"])
    assert group["error"] == "Error: timed out"
    done = run("failures", "--database-url", clean_database)
    assert done.stdout.splitlines()[0].split() == ["JOBS", "TASK", "IDENTIFIER", "ERROR", "FIRST", "LAST", "SAMPLE"]
    assert printed(clean_database, "failures", "task:other") == []
    done = run_here("failures", "task:none", "--database-url", clean_database)
    assert (done.stdout, done.stderr) == ("", "no failures\n")


def test_tasks(clean_database: str, trouble: dict[str, int]) -> None:
    charge, other = printed(clean_database, "tasks")
    assert charge.pop("oldest_ready")
    assert charge == {
        "task_identifier": "charge",
        "waiting": 1,
        "ready": 1,
        "running": 2,
        "failed": 2,
        "workers": 1,
        "is_exact": True,
    }
    assert (other["task_identifier"], other["workers"]) == ("other", 0)
    done = run_here("tasks", "--limit", "1", "--database-url", clean_database)
    assert done.stderr == "there may be more: --after charge\n"
    assert [task["task_identifier"] for task in printed(clean_database, "tasks", "--after", "charge")] == ["other"]


def test_queues(clean_database: str, trouble: dict[str, int]) -> None:
    [queue] = printed(clean_database, "queues", "--locked")
    assert (queue["queue_name"], queue["waiting"], queue["locked_by"], queue["owner"]) == ("q", 1, "pool-dead", "dead")
    done = run_here("queues", "--database-url", clean_database)
    assert done.stdout.splitlines()[1].split()[-1] == "dead"


def test_workers(clean_database: str, trouble: dict[str, int]) -> None:
    """Ours, dead or alive, and who holds locks besides."""
    rows = printed(clean_database, "workers", "list")
    assert [(row["pool_id"], row["state"], row["jobs"], row["queues"]) for row in rows] == [
        ("pool-alive", "alive", 0, 0),
        ("pool-dead", "dead", 1, 1),
        ("worker-of-node", "unknown", 1, 0),
    ]
    assert rows[0]["tasks"] == ["charge"]
    assert (rows[2]["host"], rows[2]["tasks"]) == (None, None)
    done = run("workers", "list", "--database-url", clean_database)
    assert done.stdout.splitlines()[1].split()[:6] == ["pool-alive", "alive", "box", "7", "0.1.0", "4"]


def test_unlocking_by_hand(clean_database: str, trouble: dict[str, int]) -> None:
    """Not from who lives, not without a word, and only what was named."""
    command = ("workers", "unlock", "--database-url", clean_database)
    done = run_here(*command, "pool-alive", "--yes")
    assert (done.returncode, done.stdout) == (1, "unlocked 0 jobs and 0 queues\n")
    assert done.stderr == "Error: pool-alive: alive, left alone; it unlocks by itself when it is stopped\n"
    assert "add --yes if you mean it" in error_line(run_here(*command, "worker-of-node"), 2)
    done = run_here(*command, "worker-of-node", "gone", "--yes")
    assert (done.returncode, done.stdout) == (0, "unlocked 1 job and 0 queues\n")
    assert done.stderr == ""
    rows = fetch(clean_database, "select locked_by from graphile_worker._private_jobs where locked_by is not null")
    assert rows == [{"locked_by": "pool-dead"}]


def test_a_sweep(clean_database: str, trouble: dict[str, int]) -> None:
    """What each worker does by itself: the dead at once, unknown owners after four hours; a dry run says so before."""
    done = run("workers", "sweep", "--dry-run", "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "would be recovered: pool-dead (process 7 on box) sent no heartbeat for 60 s; would unlock 1 job of its",
        "would unlock after four hours: 1 job and 0 queues of worker-of-node",
    ]
    assert printed(clean_database, "workers", "sweep", "--dry-run")["stale"]["jobs"] == 1
    assert len(fetch(clean_database, "select from graphile_worker._private_jobs where locked_by is not null")) == 2
    done = run("workers", "sweep", "--delay", "0", "--actor", "ada", "--database-url", clean_database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "recovered: pool-dead (process 7 on box) sent no heartbeat for 60 s; unlocked 1 job of its",
        "unlocked after four hours: 1 job and 0 queues of worker-of-node",
    ]
    assert fetch(clean_database, "select from graphile_worker._private_jobs where locked_by is not null") == []
    [line] = fetch(
        clean_database, "select actor, action, detail, subject, jobs from graphile_worker._private_sqla_audit"
    )
    assert tuple(line.values()) == (
        "ada",
        "sweep",
        "delay=0 dead=1 unknown=1 queues=0",
        "pool-dead (process 7 on box) sent no heartbeat for 60 s, worker-of-node",
        2,
    )
    assert run_here("workers", "sweep", "--database-url", clean_database).stdout == "nothing to free\n"
    swept = printed(clean_database, "workers", "sweep")
    assert swept == {"recovered": [], "stale": {"owners": [], "jobs": 0, "queues": 0}}


def test_stats(clean_database: str, trouble: dict[str, int]) -> None:
    seen = printed(clean_database, "stats")
    assert seen["states"] == {"locked": 2, "failed": 2, "ready": 2, "retrying": 0, "scheduled": 0}
    assert (seen["workers"], seen["dead_workers"], seen["slots"], seen["is_exact"]) == (1, 1, 4, True)
    assert seen["added_per_second"] is None
    done = run("stats", "--most", "1", "--database-url", clean_database)
    assert done.stdout.splitlines() == [
        "locked               1+",
        "failed               1+",
        "ready                1+",
        "retrying              0",
        "scheduled             0",
        "workers               1, 1 dead, 4 slots",
    ]


def test_stats_again_and_again(clean_database: str) -> None:
    """Until Ctrl-C, which is no error; with what happened in between."""
    with started("stats", "--watch", "--every", "0.1", "--json", "--database-url", clean_database) as running:
        first = json.loads(running.stdout.readline())
        for _ in range(20):
            add(clean_database)
        added = ready = 0
        while not added or ready < 20:  # statistics come a second late
            seen = json.loads(running.stdout.readline())
            added, ready = added or seen["added_per_second"], seen["states"]["ready"]
        running.process.send_signal(signal.SIGINT)
        code, errors = running.end()
    assert first["states"]["ready"] == 0
    assert ready == 20
    assert (code, errors) == (0, "")


def test_a_sweep_of_nothing() -> None:
    assert "cannot connect" in error_line(
        run_here("workers", "sweep", "--database-url", "postgresql://127.0.0.1:1/d"), 1
    )
