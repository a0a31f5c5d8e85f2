"""The workers of a storm: processes, their logs, and who is seen to hold locks."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from tests.cli.command import ROOT, environment
from tests.faults.storm_app import WORKER
from tests.support.forks import Program
from tests.support.server import connect

_POOL = re.compile(r"worker (pool-[0-9a-f]+) runs")
_HELD = """select locked_by from graphile_worker._private_jobs where locked_by is not null
union select locked_by from graphile_worker._private_job_queues where locked_by is not null"""


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
    between: tuple[float, float] = (0.3, 1.5)
    """Seconds from one kill, crash or pause to the next, at least and at most."""
    administrators: int = 2
    hold: float = 8
    """Seconds for which a transaction of theirs is open, and a row refused, at most."""


class Worker:
    """A worker process; its log goes to a file, which tells its pool id. ``pooler``: the URL of a PgBouncer."""

    def __init__(self, url: str, number: int, plan: Plan, directory: Path, pooler: str | None = None) -> None:
        self.is_pooled = pooler is not None
        self.number = number
        self.paused_at: datetime | None = None
        self.pauses = 0
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
        words += ["--transaction-pooler"] if pooler else []
        env = environment({"DATABASE_URL": pooler or url, WORKER: str(number)})
        with self._log.open("wb") as log:
            self.process = Program("gw_sqla", "worker", *words, env=env, cwd=ROOT, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def was_taken_for_dead(self) -> bool:
        """Whether it lived, unpaused, but could not say so in time: the machine or the server stood still."""
        return self.log.count("taken for dead") > self.pauses

    @property
    def pool_id(self) -> str | None:
        """The id of its worker pool; None if it did not get so far."""
        found = _POOL.search(self.log)
        return found[1] if found else None

    def pause(self) -> None:
        """Stop it where it is."""
        self.pauses += 1
        self.paused_at = datetime.now(UTC)
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.paused_at = None
        self.process.send_signal(signal.SIGCONT)


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
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
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
