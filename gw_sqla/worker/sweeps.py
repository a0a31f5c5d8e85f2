"""Sweeps: the statements of recovery, over a connection that is opened for a sweep and closed when that is done.

A sweep is set-based, and goes around what others have locked. Where the database refuses a row (a trigger of the
user's), each pool is recovered by itself, and of the pool with that row each job: no row holds up another.

Where Graphile Worker RS keeps its table of workers (`gw_sqla.worker.rust_tables`), a sweep takes the dead out of it in
the statement that frees their locks: between two statements a worker could die, and leave a row that nobody takes out.
Where that is refused, the statement is run again without it.

A worker's sweeps go between its claims where no connection is left (`gw_sqla.worker.between_claims`): the dead may be
those that a lack of connections has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.admin import audit
from gw_sqla.database.array_literals import ids_of
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.jobs.argument_checks import check_text
from gw_sqla.statements import snoozes, stale_locks, workers
from gw_sqla.statements.audit import write as write_line
from gw_sqla.worker.between_claims import ClaimConnection, OwnFirst
from gw_sqla.worker.row_refusals import unlock_around_refusals
from gw_sqla.worker.rust_tables import RustRefusal, RustWorkers

__all__ = ["Recovered", "Sweeps", "Unlocked"]

_SETTINGS = "set lock_timeout = '5s'; set statement_timeout = '30s'; set jit = off"
"""Without ``jit``: it would be loaded for each connection, which takes a hundred times as long as a sweep."""

_MOST_SNOOZES = 10_000


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


class Sweeps:
    """The statements of a `gw_sqla.worker.recovery.Recovery`, called by one task at a time.

    All methods raise `gw_sqla.database.outage.DATABASE_FAULTS`; a cancellation cancels the statement.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str,
        rust: RustWorkers,
        *,
        pooled: bool = False,
        claims: ClaimConnection | None = None,
    ) -> None:
        """``claims``: the connection of a worker's claims; without it, a lack of connections is a fault."""
        self._connection = (
            WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
            if claims is None
            else OwnFirst(claims, engine, settings=_SETTINGS, pooled=pooled)
        )
        self._schema = schema
        self._rust = rust

    async def close(self) -> None:
        """Close the connection until the next sweep; shielded, and not longer than some seconds."""
        await self._connection.close()

    async def recover(self, delay: timedelta) -> list[Recovered]:
        """Free the jobs and queues of dead pools; the jobs run no sooner than after ``delay``."""
        dead = await self._connection.fetch(workers.find_dead(self._schema), {})
        if not dead:
            return []
        beside_rust = await self._rust.are_there(self._connection)
        try:
            rows = await self._recover(dead, delay, beside_rust=beside_rust)
        except RustRefusal as refusal:
            self._rust.say_refusal(refusal)
            rows = await self._recover(dead, delay, beside_rust=False)
        return [_recovered(row) for row in rows]

    async def sweep_for(self, actor: str | None, delay: timedelta) -> tuple[list[Recovered], Unlocked]:
        """Recover and unlock because somebody asked; where they are named, a line for `Admin.list_audit` is left.

        Raises InvalidJobError and SchemaBehindError, before anything is done, where no line can be left. After a fault
        in the middle the line says what was freed.
        """
        if actor is not None:
            check_text("actor", actor, 200)
            [row] = await self._connection.fetch(audit.find_audit(self._schema), {})
            if not row["found"]:
                raise audit.no_audit(self._schema)
        recovered, stale = await self.recover(delay), Unlocked([], 0, 0)
        try:
            stale = await self.unlock_stale()
        finally:
            if actor is not None:
                line = _line(actor, delay, recovered, stale)
                await self._connection.fetch(write_line(self._schema), line)
        return recovered, stale

    async def look(self) -> tuple[list[Recovered], Unlocked]:
        """Return what `recover` and `unlock_stale` would free now, and change nothing.

        A row that somebody else has locked, or that the server refuses to change, would stay, and is told all the same.
        """
        dead = await self._connection.fetch(workers.find_dead(self._schema), {})
        stale = await self._find_stale()
        queues = sum(row["is_queue"] for row in stale)
        owners = sorted({row["owner"] for row in stale})
        return [_recovered(row) for row in dead], Unlocked(owners, len(stale) - queues, queues)

    async def _recover(self, dead: Sequence[Any], delay: timedelta, *, beside_rust: bool) -> list[Any]:
        return await unlock_around_refusals(
            self._connection,
            workers.recover(self._schema, beside_rust=beside_rust),
            {"pool_ids": [pool["pool_id"] for pool in dead], "job_ids": None, "delay": delay},
            _one_by_one(dead, delay),
            not_of_a_row=(RustRefusal,) if beside_rust else (),
        )

    async def unlock_stale(self) -> Unlocked:
        """Unlock what an owner that is not registered has held for over 4 hours."""
        found = await self._find_stale()
        jobs = await self._unlock("job", [row["id"] for row in found if not row["is_queue"]])
        queues = await self._unlock("queue", [row["id"] for row in found if row["is_queue"]])
        return Unlocked(sorted({row["owner"] for row in (*jobs, *queues)}), len(jobs), len(queues))

    async def _find_stale(self) -> Sequence[Any]:
        beside_rust = await self._rust.are_there(self._connection)
        try:
            return await self._connection.fetch(stale_locks.find_stale(self._schema, beside_rust=beside_rust), {})
        except RustRefusal as refusal:
            if not beside_rust:
                raise
            self._rust.say_refusal(refusal)
            return await self._connection.fetch(stale_locks.find_stale(self._schema), {})

    async def _unlock(self, kind: Literal["job", "queue"], ids: list[int]) -> list[Any]:
        if not ids:
            return []
        none: dict[str, list[int]] = {"job_ids": [], "queue_ids": []}
        return await unlock_around_refusals(
            self._connection,
            stale_locks.unlock_stale(self._schema),
            none | {f"{kind}_ids": ids},
            ((f"{kind} {one}", none | {f"{kind}_ids": [one]}) for one in ids),
        )

    async def forget_snoozes(self) -> int:
        """Take out the counts of snoozed jobs that are gone; return how many."""
        forgotten = 0
        while True:
            rows = await self._connection.fetch(snoozes.forget_snoozes(self._schema), {"count": _MOST_SNOOZES})
            forgotten += len(rows)
            if len(rows) < _MOST_SNOOZES:
                return forgotten

    async def unknown_tasks(self, waited: timedelta) -> dict[str, int]:
        """Return the tasks that no living pool knows and how many of their jobs have been ready for so long."""
        rows = await self._connection.fetch(workers.find_unknown_tasks(self._schema), {"waited": waited})
        return {row["identifier"]: row["jobs"] for row in rows}


def _recovered(row: Any) -> Recovered:
    return Recovered(row["what"], ids_of(row["job_ids"]), ids_of(row["final_ids"]))


def _line(actor: str, delay: timedelta, recovered: list[Recovered], stale: Unlocked) -> dict[str, Any]:
    whose = ", ".join([*(pool.what for pool in recovered), *stale.owners]) or "nobody: there was nothing to free"
    detail = f"delay={delay.total_seconds():g} dead={len(recovered)} unknown={len(stale.owners)} queues={stale.queues}"
    jobs = sum(len(pool.job_ids) for pool in recovered) + stale.jobs
    return audit.line(actor, "sweep", detail, whose, jobs, 0)


def _one_by_one(dead: Sequence[Any], delay: timedelta) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name each job of each dead pool, and at last what is left of the pool: its queues, its row."""
    for pool in dead:
        pool_id = pool["pool_id"]
        for job_id in ids_of(pool["job_ids"]):
            of_one = {"pool_ids": [pool_id], "job_ids": [job_id], "delay": delay}
            yield f"job {job_id} of the dead pool {pool_id}", of_one
        yield f"the rest of the dead pool {pool_id}", {"pool_ids": [pool_id], "job_ids": [], "delay": delay}
