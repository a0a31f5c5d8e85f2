"""A worker process that is stopped, taken for dead, and goes on: it leaves alone what another has, then works again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import fetch
from tests.faults.storm_app import RUNS
from tests.faults.storm_worker import Plan, Worker

PLAN = Plan(jobs=0, queues=0, workers=0, seconds=0, seed=0, interval=0.5, threshold=5, sweep=0.5, delay=0)

Start = Callable[[], Worker]


@pytest.fixture(params=[0, 1], ids=["asyncio", "trio"])
def start(clean_database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start workers, all on one kind of event loop; kill what is left at the end."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker(clean_database, request.param + 2 * len(started), PLAN, tmp_path))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.wait()


def until(condition: Callable[[], object]) -> None:
    """Wait for what real processes do, with a deadline for a loaded machine."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_a_paused_worker_leaves_its_jobs_to_others(clean_database: str, start: Start) -> None:
    def runs(n: int) -> list[Any]:
        return [row["worker"] for row in fetch(clean_database, "select worker from storm_runs where n = $1", n)]

    add = "select graphile_worker.add_job($1, $2::text::json, 'q')"
    fetch(clean_database, "drop table if exists storm_runs")
    fetch(clean_database, RUNS)
    fetch(clean_database, add, "wait", "1")
    paused = start()
    until(lambda: runs(1) == [paused.number])
    paused.process.send_signal(signal.SIGSTOP)
    other = start()
    until(lambda: len(runs(1)) == 2)

    paused.process.send_signal(signal.SIGCONT)
    until(lambda: "this worker is registered again" in paused.log)
    assert "taken for dead" in paused.log
    [job] = fetch(clean_database, "select locked_by, attempts from graphile_worker.jobs")
    assert (job["locked_by"], job["attempts"]) == (other.pool_id, 2)

    fetch(clean_database, "insert into storm_runs values (gen_random_uuid(), -1, 0, null, 0, 0, now())")
    until(lambda: not fetch(clean_database, "select from graphile_worker.jobs"))
    other.process.terminate()
    assert other.process.wait(60) == 0
    fetch(clean_database, add, "storm", "2")
    until(lambda: runs(2) == [paused.number])
    paused.process.terminate()
    assert paused.process.wait(60) == 0
    assert fetch(clean_database, "select from graphile_worker._private_sqla_workers") == []
