"""Registration: who is alive, and the recovery of those who are not, each over a connection of its own.

A beat must not wait for a connection of the handlers' pool, nor for a sweep: so it has a connection that nothing else
uses, whose statements time out. A sweep opens another, and closes it when it is done.

A sweep is set-based, and goes around what others have locked. Where the database refuses a row (a trigger of the
user's), each pool is recovered by itself, and of the pool with that row each job: no row holds up another.

Where Graphile Worker RS keeps a table of workers, its recovery takes an owner without a row in it for dead. The pool
beats there too, and a sweep takes the dead out of it in the statement that frees their locks: between two statements a
worker could die, and leave a row that nobody takes out. The table is never made. What it refuses (it is newer than the
grants of our role, perhaps) is said once and costs nothing else: the statement is run again without it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.outage import is_answer
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.jobs.run import Run
from gw_sqla.statements import stale_locks, workers
from gw_sqla.statements.quoting import quoted

__all__ = ["Beat", "Recovered", "Registration", "Unlocked", "worker_facts"]

log = logging.getLogger(__name__)

_RustRefusal = asyncpg.SyntaxOrAccessError
"""What a statement raises to which Rust's table is not what it expects, or forbidden."""

_SETTINGS = "set lock_timeout = '5s'; set statement_timeout = '30s'; set jit = off"
"""Without ``jit``: it would be loaded and run on each new connection, for more time than a sweep takes."""


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

    All methods raise `gw_sqla.database.outage.DATABASE_FAULTS`; a cancellation cancels the statement. Those of the
    heartbeat are called by one task at a time, and so are those of a sweep.
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
        self._beating = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._sweeping = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._schema = schema
        self._pool_id = pool_id
        self._threshold = threshold
        self._metadata = metadata
        self._rust_table = f"{quoted(schema)}._private_workers"
        self._rust_is_there = False
        self._rust_takes_beats = True
        self._rust_has_refused = False

    async def register(self) -> None:
        """Make the pool known; other workers take it for dead when it has not beaten for its threshold."""
        parameters = {"pool_id": self._pool_id, "threshold": self._threshold, "metadata": self._metadata}
        await self._fetch(workers.register(self._schema), parameters)

    async def beat(self, runs: Collection[Run]) -> Beat:
        """Beat once, here and in Rust's table; tell which of the runs have lost their locks.

        A pool that is not registered leaves no row there: it may end before it is again, and nobody would recover it.
        """
        parameters = self._named(runs) | {"rust_table": self._rust_table}
        [row] = await self._fetch(workers.beat(self._schema), parameters)
        self._rust_is_there = row["beside_rust"]
        if row["registered"] and self._beats_beside_rust:
            await self._beat_beside_rust()
        return Beat(row["registered"], _not_held(runs, row))

    async def lost(self, runs: Collection[Run]) -> list[Run]:
        """Tell which of the runs have lost their locks."""
        [row] = await self._fetch(workers.held(self._schema), self._named(runs))
        return _not_held(runs, row)

    async def deregister(self) -> None:
        """Forget the pool; for one that has unlocked everything."""
        statement = workers.deregister(self._schema, beside_rust=self._beats_beside_rust)
        await self._fetch(statement, {"pool_id": self._pool_id})

    async def recover(self, delay: timedelta) -> list[Recovered]:
        """Free the jobs and queues of dead pools; the jobs run no sooner than after ``delay``."""
        dead = await self._sweeping.fetch(workers.find_dead(self._schema), {"rust_table": self._rust_table})
        if not dead:
            return []
        try:
            rows = await self._recover(dead, delay, beside_rust=dead[0]["beside_rust"])
        except _RustRefusal as refusal:
            self._say_refusal(refusal)
            rows = await self._recover(dead, delay, beside_rust=False)
        return [Recovered(row["what"], row["job_ids"], row["final_ids"]) for row in rows]

    async def _recover(self, dead: Sequence[Any], delay: timedelta, *, beside_rust: bool) -> Sequence[Any]:
        statement = workers.recover(self._schema, beside_rust=beside_rust)
        pool_ids = [row["pool_id"] for row in dead]
        parameters: dict[str, Any] = {"pool_ids": pool_ids, "job_ids": None, "delay": delay}
        try:
            return await self._sweeping.fetch(statement, parameters)
        except asyncpg.PostgresError as refusal:  # of one row, perhaps, with whatever code its trigger raises
            if not is_answer(refusal) or (beside_rust and isinstance(refusal, _RustRefusal)):
                raise
        return await self._recover_one_by_one(statement, dead, delay)

    async def _recover_one_by_one(self, statement: ClauseElement, dead: Iterable[Any], delay: timedelta) -> list[Any]:
        """Recover each job of each dead pool by itself; what the database refuses is logged, and stays."""
        rows: list[Any] = []
        for pool in dead:
            for job_id in [*pool["job_ids"], None]:  # at last what is left of the pool: its queues, its row
                job_ids = [] if job_id is None else [job_id]
                parameters = {"pool_ids": [pool["pool_id"]], "job_ids": job_ids, "delay": delay}
                try:
                    rows += await self._sweeping.fetch(statement, parameters)
                except asyncpg.PostgresError as refusal:
                    if not is_answer(refusal):
                        raise
                    log.warning(
                        "job %s of the dead pool %s stays locked: %s", job_id, pool["pool_id"], error_text(refusal)
                    )
        return rows

    async def unlock_stale(self) -> Unlocked:
        """Unlock what an owner that is not registered has held for over 4 hours."""
        find = stale_locks.find_stale(self._schema, beside_rust=self._rust_is_there)
        try:
            found = await self._sweeping.fetch(find, {})
        except _RustRefusal as refusal:
            if not self._rust_is_there:
                raise
            self._say_refusal(refusal)
            found = await self._sweeping.fetch(stale_locks.find_stale(self._schema), {})
        statement = stale_locks.unlock_stale(self._schema)
        jobs = await self._unlock(statement, [row["id"] for row in found if not row["is_queue"]], are_queues=False)
        queues = await self._unlock(statement, [row["id"] for row in found if row["is_queue"]], are_queues=True)
        return Unlocked(sorted({row["owner"] for row in (*jobs, *queues)}), len(jobs), len(queues))

    async def _unlock(self, statement: ClauseElement, ids: list[int], *, are_queues: bool) -> Sequence[Any]:
        """Unlock these, one by one where the server refuses."""
        names = {"queue_ids": ids if are_queues else [], "job_ids": [] if are_queues else ids}
        try:
            return await self._sweeping.fetch(statement, names) if ids else []
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            if len(ids) == 1:
                log.warning("%s %d stays locked: %s", "queue" if are_queues else "job", ids[0], error_text(refusal))
                return []
        return [row for one in ids for row in await self._unlock(statement, [one], are_queues=are_queues)]

    async def unknown_tasks(self, waited: timedelta) -> dict[str, int]:
        """Return the tasks that no living pool knows and how many of their jobs have been ready for so long."""
        rows = await self._sweeping.fetch(workers.find_unknown_tasks(self._schema), {"waited": waited})
        return {row["identifier"]: row["jobs"] for row in rows}

    async def end_sweep(self) -> None:
        """Close the connection of the sweeps until the next; shielded, and not longer than some seconds."""
        await self._sweeping.close()

    async def close(self) -> None:
        """Close the connections; shielded, and not longer than some seconds each."""
        await self._beating.close()
        await self._sweeping.close()

    def _named(self, runs: Collection[Run]) -> dict[str, Any]:
        return {"pool_id": self._pool_id, "ids": [run.job.id for run in runs]}

    @property
    def _beats_beside_rust(self) -> bool:
        return self._rust_is_there and self._rust_takes_beats

    async def _beat_beside_rust(self) -> None:
        parameters = {"pool_id": self._pool_id, "metadata": self._metadata}
        try:
            await self._fetch(workers.beat_beside_rust(self._schema), parameters)
        except (_RustRefusal, asyncpg.IntegrityConstraintViolationError) as refusal:
            self._rust_takes_beats = False
            self._say_refusal(refusal)
        except asyncpg.LockNotAvailableError as fault:  # by the next beat, perhaps; this pool has beaten all the same
            log.debug("no heartbeat in %s: %s", self._rust_table, error_text(fault))

    def _say_refusal(self, refusal: asyncpg.PostgresError) -> None:
        if not self._rust_has_refused:
            self._rust_has_refused = True
            log.warning("%s, which Graphile Worker RS made, cannot be used: %s", self._rust_table, error_text(refusal))

    async def _fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Any:
        return await self._beating.fetch(statement, parameters)


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
