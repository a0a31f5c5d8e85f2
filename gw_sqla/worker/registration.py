"""Registration: who is alive, and the recovery of those who are not, over one connection of their own.

A beat must not wait for a connection of the handlers' pool, nor long for a sweep that waits for a row
lock of somebody's open transaction: so the connection is its own, and its statements time out.

Where Graphile Worker RS keeps a table of workers, its recovery takes an owner without a row in it for
dead. The pool beats there too; the table is never made, and a fault of it is said once and costs nothing else.
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

import anyio
import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.jobs.run import Run
from gw_sqla.statements import workers
from gw_sqla.statements.quoting import quoted

__all__ = ["Beat", "Recovered", "Registration", "Unlocked", "worker_facts"]

log = logging.getLogger(__name__)

_SETTINGS = "set lock_timeout = '5s'; set statement_timeout = '30s'"


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat: whether the pool is registered still, and which of its runs have lost their locks."""

    registered: bool
    lost: list[Run]


@dataclass(frozen=True, slots=True)
class Recovered:
    """A dead pool: ``what`` says who it was; its jobs, and those of them that have no attempt left."""

    what: str
    job_ids: list[int]
    final_ids: list[int]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """Locks of over 4 hours that were taken away: their owners, how many jobs and queues."""

    owners: list[str]
    jobs: int
    queues: int


class Registration:
    """The statements of heartbeat and recovery for one worker pool.

    All methods raise `gw_sqla.database.outage.DATABASE_FAULTS`; a cancellation cancels the statement. They take turns.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str,
        pool_id: str,
        *,
        threshold: timedelta,
        metadata: str,
        pooled: bool = False,
    ) -> None:
        self._connection = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._schema = schema
        self._pool_id = pool_id
        self._threshold = threshold
        self._metadata = metadata
        self._rust_table = f"{quoted(schema)}._private_workers"
        self._beside_rust = False
        self._rust_refuses = False
        self._turn = anyio.Lock()

    async def register(self) -> None:
        """Make the pool known; other workers take it for dead when it has not beaten for its threshold."""
        parameters = {"pool_id": self._pool_id, "threshold": self._threshold, "metadata": self._metadata}
        await self._fetch(workers.register(self._schema), parameters)

    async def beat(self, runs: Collection[Run]) -> Beat:
        """Beat once, here and in Rust's table; tell which of the runs have lost their locks."""
        parameters = self._named(runs) | {"rust_table": self._rust_table}
        [row] = await self._fetch(workers.beat(self._schema), parameters)
        self._beside_rust = row["beside_rust"] and not self._rust_refuses
        if self._beside_rust:
            await self._beat_beside_rust()
        return Beat(row["registered"], _not_held(runs, row))

    async def lost(self, runs: Collection[Run]) -> list[Run]:
        """Tell which of the runs have lost their locks."""
        [row] = await self._fetch(workers.held(self._schema), self._named(runs))
        return _not_held(runs, row)

    async def deregister(self) -> None:
        """Forget the pool; for one that has unlocked everything."""
        statement = workers.deregister(self._schema, beside_rust=self._beside_rust)
        await self._fetch(statement, {"pool_id": self._pool_id})

    async def recover(self, delay: timedelta) -> list[Recovered]:
        """Free the jobs and queues of dead pools; the jobs run no sooner than after ``delay``."""
        [row] = await self._fetch(workers.any_dead(self._schema), {})
        if not row["dead"]:
            return []
        rows = await self._fetch(workers.recover(self._schema), {"delay": delay})
        return [Recovered(row["what"], row["job_ids"], row["final_ids"]) for row in rows]

    async def unlock_stale(self) -> Unlocked:
        """Unlock what an owner that is not registered has held for over 4 hours."""
        [row] = await self._fetch(workers.unlock_stale(self._schema), {})
        return Unlocked(row["owners"], row["jobs"], row["queues"])

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds."""
        await self._connection.close()

    def _named(self, runs: Collection[Run]) -> dict[str, Any]:
        return {"pool_id": self._pool_id, "ids": [run.job.id for run in runs]}

    async def _beat_beside_rust(self) -> None:
        parameters = {"pool_id": self._pool_id, "metadata": self._metadata}
        try:
            await self._fetch(workers.beat_beside_rust(self._schema), parameters)
        except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError) as error:
            self._rust_refuses = True
            log.warning("no heartbeat in %s, which Graphile Worker RS made: %s", self._rust_table, error)

    async def _fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Any:
        async with self._turn:
            return await self._connection.fetch(statement, parameters)


def _not_held(runs: Collection[Run], row: Any) -> list[Run]:
    held_ids = set(row["held_ids"])
    return [run for run in runs if run.job.id not in held_ids]


def worker_facts(concurrency: int, tasks: Collection[str]) -> str:
    """Return, as JSON, what people who look at the register want to know of a worker of this process."""
    try:
        installed = version("gw-sqla")
    except PackageNotFoundError:  # a copy that was not installed
        installed = None
    facts = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": installed,
        "concurrency": concurrency,
        "tasks": sorted(tasks),
    }
    return json.dumps(facts)
