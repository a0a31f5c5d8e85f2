"""Registration: says that a pool is alive, and asks which locks it has.

Between two claims, over their connection, or over one of its own (`gw_sqla.worker.between_claims`): a beat waits for no
connection of the handlers' pool, and for no sweep.

Where Graphile Worker RS keeps its table of workers (`gw_sqla.worker.rust_tables`), the pool beats there too. What that
refuses is said once, and costs nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import asyncpg

from gw_sqla.database.array_literals import ids_of
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.run import Run
from gw_sqla.settings import RunnerSettings
from gw_sqla.statements import workers
from gw_sqla.worker.rust_tables import RustRefusal, RustWorkers

__all__ = ["BEAT_SETTINGS", "Beat", "Registration", "worker_facts"]

log = logging.getLogger(__name__)

BEAT_SETTINGS = "set lock_timeout = '5s'; set statement_timeout = '30s'; set jit = off"


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat: whether the pool is registered still, and which of its runs have lost their locks."""

    registered: bool
    lost: list[Run]


class Registration:
    """The statements of one pool's `gw_sqla.worker.heartbeat.Heartbeat`, called by one task at a time.

    All methods raise `gw_sqla.database.outage.DATABASE_FAULTS`; a cancellation cancels the statement.
    """

    def __init__(
        self,
        connection: WorkerConnection,
        schema: str,
        pool_id: str,
        rust: RustWorkers,
        *,
        threshold: timedelta,
        metadata: str,
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._pool_id = pool_id
        self._threshold = threshold
        self._metadata = metadata
        self._rust = rust
        self._rust_is_there = False  # when it beat last
        self._rust_takes_beats = True

    async def register(self) -> None:
        """Make the pool known; other workers take it for dead when it has not beaten for its threshold."""
        parameters = {"pool_id": self._pool_id, "threshold": self._threshold, "metadata": self._metadata}
        await self._connection.fetch(workers.register(self._schema), parameters)

    async def beat(self, runs: Collection[Run]) -> Beat:
        """Beat once, here and in Rust's table; tell which of the runs have lost their locks.

        A pool that is not registered leaves no row there: it may end before it is again, and nobody would recover it.
        """
        parameters = self._named(runs) | {"rust_table": self._rust.name}
        [row] = await self._connection.fetch(workers.beat(self._schema), parameters)
        self._rust_is_there = row["beside_rust"]
        if row["registered"] and self._beats_beside_rust:
            await self._beat_beside_rust()
        return Beat(row["registered"], _not_held(runs, row))

    async def lost(self, runs: Collection[Run]) -> list[Run]:
        """Tell which of the runs have lost their locks."""
        [row] = await self._connection.fetch(workers.held(self._schema), self._named(runs))
        return _not_held(runs, row)

    async def deregister(self) -> None:
        """Forget the pool; for one that has unlocked everything."""
        statement = workers.deregister(self._schema, beside_rust=self._beats_beside_rust)
        await self._connection.fetch(statement, {"pool_id": self._pool_id})

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds."""
        await self._connection.close()

    def _named(self, runs: Collection[Run]) -> dict[str, Any]:
        return {"pool_id": self._pool_id, "ids": [run.job.id for run in runs]}

    @property
    def _beats_beside_rust(self) -> bool:
        return self._rust_is_there and self._rust_takes_beats

    async def _beat_beside_rust(self) -> None:
        parameters = {"pool_id": self._pool_id, "metadata": self._metadata}
        try:
            await self._connection.fetch(workers.beat_beside_rust(self._schema), parameters)
        except (RustRefusal, asyncpg.IntegrityConstraintViolationError) as refusal:
            self._rust_takes_beats = False
            self._rust.say_refusal(refusal)
        except asyncpg.LockNotAvailableError as fault:  # by the next beat, perhaps; this pool has beaten all the same
            log.debug("no heartbeat in %s: %s", self._rust.name, error_text(fault))


def _not_held(runs: Collection[Run], row: Any) -> list[Run]:
    held_ids = set(ids_of(row["held_ids"]))
    return [run for run in runs if run.job.id not in held_ids]


def worker_facts(settings: RunnerSettings, tasks: Collection[str]) -> str:
    """Return, as JSON, what people who look at the register want to know of a worker of this process.

    `gw_sqla.admin` reads it, for example to say that nobody who lives takes a job.
    """
    try:
        installed = version("gw-sqla")
    except PackageNotFoundError:  # a copy that was not installed
        installed = None
    allowlist = settings.flag_allowlist
    facts = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": installed,
        "concurrency": settings.concurrency,
        "tasks": sorted(tasks),
        "forbidden_flags": sorted(settings.forbidden_flags),
        "accepted_flags": sorted(settings.accepted_flags),
        "flag_allowlist": None if allowlist is None else sorted(allowlist),
    }
    return json.dumps(facts)
