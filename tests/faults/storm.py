"""A storm: several workers on thousands of jobs, and all that can befall them at random, for a bounded time.

Workers on asyncio and on trio, some of them behind PgBouncer, are killed, and paused for longer than their threshold;
PostgreSQL is crashed; administrators do what they should not (`tests.faults.storm_administrators`).
``python -m tests.faults.storm`` runs a long one and prints its figures; so does ``nox -s storm``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import AsyncSession, JobRepository, JobSpec, migrate
from tests.faults.storm_administrators import REFUSING, Administrators, fields
from tests.faults.storm_app import RUNS, WRITES
from tests.faults.storm_judge import Aftermath, Death, Deeds, Run, Taken
from tests.faults.storm_worker import Plan, Watch, Worker
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer
from tests.support.server import RestartableServer, connect, execute, restartable_server

_LOCKED = """select (select count(*) from graphile_worker._private_jobs where locked_at is not null)
  + (select count(*) from graphile_worker._private_job_queues where locked_at is not null) as locks"""
_LEFT = """select (select count(*) from graphile_worker._private_jobs where attempts < max_attempts) as jobs,
  array(select pool_id from graphile_worker._private_sqla_workers) as workers"""
_FAILED = "select cast(cast(payload as text) as int) from graphile_worker._private_jobs where attempts >= max_attempts"
_NOW = "update graphile_worker._private_jobs set run_at = now() where run_at > now() and locked_at is null"
_LONG_PAUSE = (2, 6)
"""Seconds that a pause is longer than the threshold, at least and at most."""


class Storm:
    """One storm on a server of its own; ``pooler`` is the URL of a PgBouncer before it."""

    def __init__(self, plan: Plan, server: RestartableServer, pooler: str | None, directory: Path) -> None:
        self._plan = plan
        self._server = server
        self._pooler = pooler
        self._directory = directory
        self._url = server.url.render_as_string(hide_password=False)
        self._random = random.Random(plan.seed)
        self._workers: list[Worker] = []
        self._paused: dict[Worker, float] = {}
        self._dead: list[tuple[Worker, datetime]] = []
        self._all: list[Worker] = []
        self._gone: list[str] = []
        self._taken: list[Taken] = []
        self._restarts = 0
        self._deeds = Deeds(added=set(range(plan.jobs)))

    def run(self) -> Aftermath:
        """Prepare, rage, wait for the calm, look at what is left."""
        asyncio.run(self._prepare())
        watch = Watch(self._url)
        administrators = Administrators(self._url, self._plan, self._deeds, self._living)
        watch.start()
        try:
            for _ in range(self._plan.workers):
                self._start()
            self._until_at_work(self._plan.workers)
            began = time.monotonic()
            administrators.start()
            self._rage(began + self._plan.seconds)
            administrators.stop()
            self._until_done(time.monotonic() + self._plan.patience)
            seconds = time.monotonic() - began
            locked = self._fetch(_LOCKED)[0][0]
            exit_codes = self._stop()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
        time.sleep(0.5)  # some more looks of the watch
        watch.stop()
        numbers = {worker.pool_id: worker.number for worker in self._all}
        left = self._fetch(_LEFT)[0]
        return Aftermath(
            seconds=seconds,
            restarts=self._restarts,
            runs=[Run(**row) for row in self._fetch(f"select {', '.join(Run.__annotations__)} from storm_runs")],
            writes=[row[0] for row in self._fetch("select n from storm_writes")],
            deeds=self._deeds,
            deaths=[
                Death(worker.number, worker.pool_id, at, *watch.unlocked(worker.pool_id, at))
                for worker, at in self._dead
            ],
            taken=self._taken + [Taken(numbers[pool_id], *times) for pool_id, *times in administrators.taken],
            left=left["jobs"],
            failed={row[0] for row in self._fetch(_FAILED)},
            locked=locked + self._fetch(_LOCKED)[0][0],
            registered=len(set(left["workers"]) - {worker.pool_id for worker in self._all if worker.is_pooled}),
            gone=self._gone,
            exit_codes=exit_codes,
            mistaken={worker.number for worker in self._all if worker.was_taken_for_dead},
            longest_recovery=self._plan.threshold + self._plan.sweep + self._plan.hold + self._plan.slack,
        )

    async def _prepare(self) -> None:
        engine = create_async_engine(self._url)
        await migrate(engine)
        for sql in (RUNS, WRITES, REFUSING):
            await execute(self._url, sql)
        specs = [_spec(n, self._plan.queues) for n in range(self._plan.jobs)]
        for first in range(0, len(specs), 1000):
            async with AsyncSession(engine) as session, session.begin():
                await JobRepository().add_jobs(session, specs[first : first + 1000])
        await engine.dispose()

    def _start(self) -> None:
        number = len(self._all)
        worker = Worker(self._url, number, self._plan, self._directory, self._pooler if number % 3 == 1 else None)
        self._all.append(worker)
        self._workers.append(worker)

    def _living(self) -> list[str]:
        return [pool_id for worker in list(self._workers) if (pool_id := worker.pool_id)]

    def _until_at_work(self, least: int) -> list[Worker]:
        """Wait until so many workers work, which takes them some time; return those that do."""
        deadline = time.monotonic() + self._plan.patience
        while True:
            self._end_pauses()
            for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
                if worker.pool_id is not None:
                    self._gone.append(worker.log[-2000:])
                self._workers.remove(worker)  # it found no server at its start: its supervisor tries again
                self._start()
            at_work = [worker for worker in self._workers if worker.pool_id]
            if len(at_work) >= least:
                return at_work
            assert time.monotonic() < deadline, "the workers did not come up"
            time.sleep(0.1)

    def _rage(self, until: float) -> None:
        """Kill, crash and pause; the oldest worker is spared, because recovery takes somebody who lives."""
        faults = self._faults()
        while time.monotonic() < until:
            calm = time.monotonic() + self._random.uniform(*self._plan.between)
            while time.monotonic() < calm:
                self._end_pauses()
                time.sleep(0.1)
            fault = next(faults)
            if fault == "crash":
                self._server.stop("immediate")
                self._server.start()
                self._restarts += 1
                continue
            worker = self._random.choice(self._until_at_work(2)[1:])
            if fault == "kill":
                self._kill(worker)
            elif worker not in self._paused:
                self._deeds.counts["pauses"] += 1
                self._paused[worker] = time.monotonic() + self._plan.threshold + self._random.uniform(*_LONG_PAUSE)
                worker.pause()
        while self._paused:
            self._end_pauses()
            time.sleep(0.1)

    def _faults(self) -> Iterator[str]:
        """In random order; the first three are one of each kind."""
        yield from self._random.sample(["pause", "kill", "crash"], 3)
        while True:
            some = ["kill"] * 4 + ["crash"] * 2 + ["pause"] * 2
            self._random.shuffle(some)
            yield from some

    def _kill(self, worker: Worker) -> None:
        worker.process.kill()
        worker.process.wait()
        self._dead.append((worker, datetime.now(UTC)))
        if self._paused.pop(worker, None):
            self._note_pause(worker)
        self._workers.remove(worker)
        self._start()

    def _end_pauses(self) -> None:
        for worker in [worker for worker, until in self._paused.items() if until < time.monotonic()]:
            del self._paused[worker]
            self._note_pause(worker)
            worker.go_on()

    def _note_pause(self, worker: Worker) -> None:
        assert worker.paused_at is not None
        self._taken.append(Taken(worker.number, worker.paused_at, datetime.now(UTC)))

    def _until_done(self, deadline: float) -> None:
        """Wait until no job is left, no lock, and nobody is registered who does not live; or until the deadline."""
        while time.monotonic() < deadline:
            self._fetch(_NOW)  # the waits between attempts are of no interest
            at_work = len(self._until_at_work(len(self._workers)))
            left = self._fetch(_LEFT)[0]
            if left["jobs"] == self._fetch(_LOCKED)[0][0] == 0 and len(left["workers"]) == at_work:
                return
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


def _spec(n: int, queues: int) -> JobSpec:
    given = fields(n, queues)
    return JobSpec(task_identifier=given["task"], payload=n, queue_name=given["queue"], job_key=given["key"])


def run(plan: Plan, logs: Path | None = None) -> Aftermath:
    """Run a storm on a server of its own; ``logs``: a folder for those of the workers."""
    with ExitStack() as stack:
        server = stack.enter_context(restartable_server())
        program = find_pgbouncer()
        pooler = None
        if program is None:
            print("PgBouncer is not installed: no worker is behind one")
        else:
            url = server.url.render_as_string(hide_password=False)
            pooler = stack.enter_context(start_pgbouncer(program, url, "transaction"))
        directory = logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gw_sqla-storm-")))
        return Storm(plan, server, pooler, directory).run()


def main() -> int:
    parser = argparse.ArgumentParser(
        description="A long storm; prints its figures and ends with 1 if something is wrong."
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument(
        "--jobs", type=int, default=3000, help="at the start; more are added when half of them are left"
    )
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--administrators", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--logs", type=Path, help="a folder that is there, for the logs of the workers")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    plan = Plan(
        options.jobs,
        200,
        options.workers,
        options.seconds,
        options.seed,
        patience=900,
        between=(0.5, 3.5),
        administrators=options.administrators,
    )
    aftermath = run(plan, options.logs)
    print(aftermath)
    for problem in aftermath.problems():
        print("PROBLEM:", problem)
    return 1 if aftermath.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
