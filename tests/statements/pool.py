"""A worker pool as the database sees it: the statements of claim and finish on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.base import Executable

from gw_sqla.database.array_literals import ids_of
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.run import Run
from gw_sqla.statements import orphaned_locks, outcomes
from gw_sqla.statements.claim import claim
from gw_sqla.statements.claim_rules import Bounds, Variant
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.claim_cursor import EVERYWHERE, Look


class Pool:
    """Runs the statements for one pool id. What a test does not commit stays in an open transaction."""

    def __init__(self, connection: AsyncConnection, pool_id: str, schema: str) -> None:
        self.connection = connection
        self.pool_id = pool_id
        self.schema = schema
        self.busy: set[int] = set()  # what the last write left alone, as another transaction has locked it
        self.spent_ids: list[int] = []
        self.runs: dict[int, Run] = {}  # the last that it claimed of each job

    async def claim(
        self,
        count: int = 100,
        *,
        tasks: Sequence[str] = ("a",),
        forbidden: Sequence[str] = (),
        accepted: Sequence[str] = (),
        allowlist: Sequence[str] | None = None,
        look: Look = EVERYWHERE,
    ) -> list[ClaimedJob]:
        parameters = {"task_identifiers": tasks, "count": count, "pool_id": self.pool_id}
        parameters |= look.parameters()
        parameters |= Bounds.of(count, None)._asdict()
        if forbidden:
            parameters["forbidden_flags"] = forbidden
        if accepted:
            parameters["accepted_flags"] = accepted
        if allowlist is not None:
            parameters["flag_allowlist"] = allowlist
        variant = Variant(
            forbidding_flags=bool(forbidden),
            accepting_flags=bool(accepted),
            allowlisting=allowlist is not None,
            reach=look.reach,
        )
        rows = await self.connection.execute(claim(self.schema, variant), parameters)
        jobs = [ClaimedJob(**row._mapping) for row in rows]
        self.runs |= {job.id: Run(job) for job in jobs}
        return jobs

    async def complete(self, *ids: int, around_locks: bool = False) -> set[int]:
        return await self._finish(outcomes.complete(self.schema, around_locks=around_locks), ids)

    async def complete_alike(self, *ids: int) -> set[int]:
        """As for runs of the attempt that the first is in."""
        runs = self._named(ids)
        parameters = {
            "ids": ids,
            "attempt": runs[0].job.attempts if runs else 1,
            "locked_at": max((run.job.locked_at for run in runs), default=datetime.now(UTC)),
            "pool_id": self.pool_id,
        }
        found = (await self.connection.execute(outcomes.complete_alike(self.schema), parameters)).scalar_one()
        return set(ids if found is None else ids_of(found))

    async def complete_by_handler(self, job_id: int) -> set[int]:
        job = self._named([job_id])[0].job
        parameters = {
            "id": job_id,
            "attempt": job.attempts,
            "keyed": job.key is not None,
            "locked_at": job.locked_at,
            "queue_id": job.queue_id,
            "pool_id": self.pool_id,
        }
        result = await self.connection.execute(outcomes.complete_by_handler(self.schema), parameters)
        return {job_id} if result.scalar_one() else set()

    async def give_back(self, *ids: int, around_locks: bool = False) -> set[int]:
        statement = outcomes.give_back(self.schema, heeding_retirements=False, around_locks=around_locks)
        return await self._finish(statement, ids, keys=[run.job.key for run in self._named(ids)])

    async def release(self, *known: int) -> set[int]:
        """Unlock all but the jobs that are given, and their queues."""
        jobs = [run.job for run in self._named(known)]
        own = {"pool_id": self.pool_id}
        self.busy = set()
        names = {"ids": [job.id for job in jobs], "locked_ats": [job.locked_at for job in jobs]}
        freed = await self._free(
            orphaned_locks.find_orphaned_jobs(self.schema),
            own | names,
            orphaned_locks.release_jobs(self.schema, heeding_retirements=False),
            own | {"spent_ids": self.spent_ids},
        )
        names = {"ids": [job.queue_id for job in jobs if job.queue_id is not None]}
        find = orphaned_locks.find_orphaned_queues(self.schema)
        await self._free(find, own | names, orphaned_locks.release_queues(self.schema), own)
        return freed

    async def _free(
        self, find: Executable, names: dict[str, Any], free: Executable, parameters: dict[str, Any]
    ) -> set[int]:
        found = {row.id for row in await self.connection.execute(find, names)}
        freed = {row.id for row in await self.connection.execute(free, parameters | {"ids": list(found)})}
        self.busy |= found - freed
        return freed

    async def fail(
        self,
        *ids: int,
        messages: Sequence[str] = (),
        delays: Sequence[float | None] = (),
        final: Sequence[bool] = (),
        payloads: Sequence[str | None] = (),
        around_locks: bool = False,
    ) -> set[int]:
        return await self._finish(
            outcomes.fail(self.schema, around_locks=around_locks),
            ids,
            messages=messages or ["broken"] * len(ids),
            delays=delays or [None] * len(ids),
            final=final or [False] * len(ids),
            payloads=payloads or [None] * len(ids),
        )

    async def snooze(
        self,
        *ids: int,
        around_locks: bool = False,
        heeding_retirements: bool = False,
        limits: Sequence[int] | None = None,
        delays: Sequence[float] | None = None,
    ) -> set[int]:
        return await self._finish(
            outcomes.snooze(self.schema, heeding_retirements=heeding_retirements, around_locks=around_locks),
            ids,
            keys=[run.job.key for run in self._named(ids)],
            delays=delays or [60.0] * len(ids),
            limits=limits or [1000] * len(ids),
            reasons=["not yet"] * len(ids),
            payloads=[None] * len(ids),
            messages=["too often"] * len(ids),
            failed_delays=[None] * len(ids),
        )

    async def commit(self) -> None:
        await self.connection.commit()

    async def now(self) -> Any:
        """The start of the open transaction."""
        return (await self.connection.execute(text("select now()"))).scalar_one()

    def _named(self, ids: Sequence[int]) -> list[Run]:
        """The runs that it claimed last of these jobs; for others made-up ones."""
        return [self.runs.get(job_id) or Run(_never_claimed(job_id)) for job_id in ids]

    async def _finish(self, statement: Executable, ids: Sequence[int], **parameters: Any) -> set[int]:
        runs = self._named(ids)
        parameters |= {
            "ids": [run.job.id for run in runs],
            "attempts": [run.job.attempts for run in runs],
            "keyed": [run.job.key is not None for run in runs],
            "locked_ats": [run.job.locked_at for run in runs],
            "queue_ids": [run.job.queue_id for run in runs],
            "pool_id": self.pool_id,
        }
        written: set[int] = set()
        self.busy = set()
        for row in await self.connection.execute(statement, parameters):
            (self.busy if row.busy else written).add(row.id)
        return written


def _never_claimed(job_id: int) -> ClaimedJob:
    return ClaimedJob(job_id, "a", "{}", None, 0, datetime.now(UTC), 1, 25, None, None, 0, None)


@asynccontextmanager
async def open_pool(engine: AsyncEngine, pool_id: str, schema: str = DEFAULT_SCHEMA) -> AsyncIterator[Pool]:
    """Open a pool whose statements fail, rather than wait, when another transaction has a lock they need."""
    async with engine.connect() as connection:
        await connection.execute(text("set lock_timeout = '2s'"))
        await connection.commit()
        yield Pool(connection, pool_id, schema)
