"""A storm: several workers on thousands of jobs, workers killed and PostgreSQL crashed at random, for a bounded time.

``python -m tests.faults.storm`` runs a long one and prints its figures; so does ``nox -s storm``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import AsyncSession, JobRepository, JobSpec, migrate
from tests.cli.command import ROOT, environment
from tests.faults.storm_app import RUNS, WORKER
from tests.faults.storm_judge import Aftermath, Death, Run
from tests.support.forks import Program
from tests.support.server import RestartableServer, connect, execute, restartable_server

_POOL = re.compile(r"worker (pool-[0-9a-f]+) runs")
_HELD = """select locked_by from graphile_worker._private_jobs where locked_by is not null
union select locked_by from graphile_worker._private_job_queues where locked_by is not null"""
_LOCKED = """select (select count(*) from graphile_worker._private_jobs where locked_at is not null)
  + (select count(*) from graphile_worker._private_job_queues where locked_at is not null)"""


@dataclass(frozen=True)
class Plan:
    """How bad a storm is; the same seed draws the same faults in the same order, not at the same moments."""

    jobs: int
    queues: int
    workers: int
    seconds: float
    seed: int
    patience: float = 120
    """Seconds after the storm in which all jobs have to be done."""
    slack: float = 15
    """Seconds that a recovery may take longer, for a loaded machine and a server that is just restarting."""
    interval: float = 0.5
    threshold: float = 5
    sweep: float = 1
    delay: float = 1


class Worker:
    """A worker process; its log goes to a file, which tells its pool id."""

    def __init__(self, url: str, number: int, plan: Plan, directory: Path) -> None:
        self.number = number
        self._log = directory / f"worker-{number}.log"
        options: dict[str, object] = {
            "--app": "tests.faults.storm_app:tasks",
            "--backend": "trio" if number % 2 else "asyncio",
            "--concurrency": 4,
            "--prefetch": 8 if number % 3 == 0 else 0,
            "--poll-interval": 0.2,
            "--heartbeat-interval": plan.interval,
            "--heartbeat-threshold": plan.threshold,
            "--sweep-interval": plan.sweep,
            "--recovery-delay": plan.delay,
        }
        words = [str(word) for pair in options.items() for word in pair]
        env = environment({"DATABASE_URL": url, WORKER: str(number)})
        with self._log.open("wb") as log:
            self.process = Program("gw_sqla", "worker", *words, env=env, cwd=ROOT, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def was_taken_for_dead(self) -> bool:
        """Whether it lived, but could not say so in time: the machine or the server stood still for so long."""
        return "taken for dead" in self.log

    @property
    def pool_id(self) -> str | None:
        """The id of its worker pool; None if it did not get so far."""
        found = _POOL.search(self.log)
        return found[1] if found else None


class Watch(threading.Thread):
    """Looks again and again at who holds locks, on a connection of its own."""

    def __init__(self, url: Any) -> None:
        super().__init__(name="watch", daemon=True)
        self._url = url
        self._over = threading.Event()
        self.looks: list[tuple[datetime, frozenset[str]]] = []

    def run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        while not self._over.is_set():
            try:
                connection = await connect(self._url)
                try:
                    while not self._over.is_set():
                        began = datetime.now(UTC)
                        rows = await connection.fetch(_HELD)
                        self.looks.append((began, frozenset(row["locked_by"] for row in rows)))
                        await asyncio.sleep(0.1)
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.1)  # the server is down: that is what the storm is about

    def stop(self) -> None:
        self._over.set()
        self.join()

    def unlocked(self, pool_id: str | None, since: datetime) -> tuple[datetime | None, bool]:
        """Return when the pool was first seen to hold nothing after ``since``, and whether it held something then."""
        later = [(at, pools) for at, pools in self.looks if at >= since]
        held = [at for at, pools in later if pool_id in pools]
        free = [at for at, pools in later if pool_id not in pools and (not held or at > held[-1])]
        return (free[0] if free else None), bool(held)


class Storm:
    """One storm on a server of its own."""

    def __init__(self, plan: Plan, server: RestartableServer, directory: Path) -> None:
        self._plan = plan
        self._server = server
        self._directory = directory
        self._url = server.url.render_as_string(hide_password=False)
        self._random = random.Random(plan.seed)
        self._workers: list[Worker] = []
        self._dead: list[tuple[Worker, datetime]] = []
        self._all: list[Worker] = []
        self._restarts = 0

    def run(self) -> Aftermath:
        """Prepare, rage, wait for the calm, look at what is left."""
        asyncio.run(self._prepare())
        watch = Watch(self._url)
        watch.start()
        try:
            for _ in range(self._plan.workers):
                self._start()
            self._until_at_work(self._plan.workers)
            began = time.monotonic()
            self._rage(began + self._plan.seconds)
            left = self._until_done(time.monotonic() + self._plan.patience)
            seconds = time.monotonic() - began
            exit_codes = self._stop()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
        time.sleep(0.5)  # some more looks of the watch
        watch.stop()
        return Aftermath(
            jobs=self._plan.jobs,
            seconds=seconds,
            restarts=self._restarts,
            runs=[Run(**row) for row in self._fetch(f"select {', '.join(Run.__annotations__)} from storm_runs")],
            deaths=[
                Death(worker.number, worker.pool_id, at, *watch.unlocked(worker.pool_id, at))
                for worker, at in self._dead
            ],
            left=left,
            locked=self._fetch(_LOCKED)[0][0],
            exit_codes=exit_codes,
            mistaken={worker.number for worker in self._all if worker.was_taken_for_dead},
            longest_recovery=self._plan.threshold + self._plan.sweep + self._plan.slack,
        )

    async def _prepare(self) -> None:
        engine = create_async_engine(self._url)
        await migrate(engine)
        await execute(self._url, RUNS)
        specs = [
            JobSpec(task_identifier="storm", payload=n, queue_name=f"q{n % self._plan.queues}" if n % 3 else None)
            for n in range(self._plan.jobs)
        ]
        for first in range(0, len(specs), 1000):
            async with AsyncSession(engine) as session, session.begin():
                await JobRepository().add_jobs(session, specs[first : first + 1000])
        await engine.dispose()

    def _start(self) -> None:
        worker = Worker(self._url, len(self._all), self._plan, self._directory)
        self._all.append(worker)
        self._workers.append(worker)

    def _until_at_work(self, least: int) -> list[Worker]:
        """Wait until so many workers work, which takes them some time; return those that do."""
        deadline = time.monotonic() + self._plan.patience
        while True:
            for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
                assert worker.pool_id is None, f"worker {worker.number} ended by itself: {worker.log}"
                self._workers.remove(worker)  # it found no server at its start: its supervisor tries again
                self._start()
            at_work = [worker for worker in self._workers if worker.pool_id]
            if len(at_work) >= least:
                return at_work
            assert time.monotonic() < deadline, "the workers did not come up"
            time.sleep(0.1)

    def _rage(self, until: float) -> None:
        """Kill and crash; the oldest worker is spared, because recovery takes somebody who lives."""
        while time.monotonic() < until:
            time.sleep(self._random.uniform(0.3, 1.5))
            if self._random.random() < 0.7:
                self._kill(self._random.choice(self._until_at_work(2)[1:]))
            else:
                self._server.stop("immediate")
                self._server.start()
                self._restarts += 1

    def _kill(self, worker: Worker) -> None:
        worker.process.kill()
        worker.process.wait()
        self._dead.append((worker, datetime.now(UTC)))
        self._workers.remove(worker)
        self._start()

    def _until_done(self, deadline: float) -> int:
        """Wait until no job is left; return how many are."""
        while True:
            left: int = self._fetch("select count(*) from graphile_worker._private_jobs")[0][0]
            if left == 0 or time.monotonic() > deadline:
                return left
            self._until_at_work(0)
            time.sleep(0.2)

    def _stop(self) -> list[int]:
        for worker in self._workers:
            while (
                worker.pool_id is None and worker.process.poll() is None
            ):  # a signal ends it before it listens for any
                time.sleep(0.01)
            worker.process.terminate()
        return [worker.process.wait(60) for worker in self._workers]

    def _fetch(self, sql: str) -> list[asyncpg.Record]:
        async def fetch() -> list[asyncpg.Record]:
            connection = await connect(self._url)
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return asyncio.run(fetch())


def run(plan: Plan) -> Aftermath:
    """Run a storm on a server of its own."""
    with restartable_server() as server, tempfile.TemporaryDirectory(prefix="gw_sqla-storm-") as directory:
        return Storm(plan, server, Path(directory)).run()


def main() -> int:
    parser = argparse.ArgumentParser(
        description="A long storm; prints its figures and ends with 1 if something is wrong."
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--jobs", type=int, default=30_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    plan = Plan(options.jobs, 200, options.workers, options.seconds, options.seed, patience=900)
    aftermath = run(plan)
    print(aftermath)
    for problem in aftermath.problems():
        print("PROBLEM:", problem)
    return 1 if aftermath.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
