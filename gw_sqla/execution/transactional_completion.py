"""Completions: jobs that their handlers' own transactions complete.

The job's row is deleted, and its queue unlocked, in the handler's transaction, under the guard of the finisher's
statement: only while this pool holds the lock. So the handler's writes and the end of the job are one commit, and
a worker whose lock was lost cannot commit the writes either. A function of ours in the schema does it, since only
a function has plan settings of its own: the plan must read no other job (SERIALIZABLE), whatever the session says.

What became of such a transaction its session tells, most often (`gw_sqla.execution.completion_watch`). Where it does
not know, the database is asked: the row is there, or it is not. The question waits for a transaction that is still
deciding (``for update``), so that its answer is final.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession
from sqlalchemy.orm import Session

from gw_sqla.database.autocommit import is_autocommit
from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.errors import InvalidJobError, LockLostError, SessionError
from gw_sqla.execution.completion_watch import watch
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.run import Run
from gw_sqla.statements import outcomes

__all__ = ["Completions"]

_ASKING_TIMEOUT = 5.0
"""Seconds for which the question may hold up a cancelled job."""


def _complete(session: Session, schema: str, parameters: dict[str, Any], run: Run, is_last: bool) -> bool:
    if is_autocommit(session.connection()):
        raise SessionError(
            "the session's connection is in AUTOCOMMIT: it has no transaction in which the job could be completed"
        )
    if not session.scalar(outcomes.complete_by_handler(schema), parameters):
        return False
    run.completing()
    watch(session, run, is_last=is_last)
    return True


class Completions:
    """The completions of a worker pool's running jobs.

    ``lease_first``: gives a run its lock, where jobs may be without (`gw_sqla.RunnerSettings.lease_after`).
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], schema: str, pool_id: str) -> None:
        self._sessions = sessions
        self._schema = schema
        self._pool_id = pool_id
        self.lease_first: Callable[[Run], Awaitable[None]] | None = None

    async def complete(self, run: Run, session: SqlalchemySession, *, is_last: bool = False) -> None:
        """Delete the job in the session's transaction; raises LockLostError where it is not this pool's.

        ``is_last``: the commit comes next.
        """
        if not isinstance(session, SqlalchemySession):
            raise InvalidJobError("session", f"must be an AsyncSession, not {type(session).__name__}")
        if self.lease_first is not None:
            await self.lease_first(run)
        job = run.job
        parameters = {
            "id": job.id,
            "attempt": job.attempts,
            "keyed": job.key is not None,
            "locked_at": job.locked_at,
            "queue_id": job.queue_id,
            "pool_id": self._pool_id,
        }
        if not run.is_running or not await call_asyncio(  # of one that has ended the outcome is being written
            session.run_sync, _complete, self._schema, parameters, run, is_last
        ):
            raise LockLostError(job.id)

    async def decide(self, run: Run) -> bool:
        """Tell whether the transaction that completed the job is committed; waits until that is known."""
        if run.is_committed or not await self.is_there(run.job):
            run.committed()
            return True
        run.rolled_back()
        return False

    async def decide_soon(self, run: Run) -> bool:
        """The same for a job that is being cancelled: shielded, for some seconds; then False."""
        with anyio.move_on_after(_ASKING_TIMEOUT, shield=True):
            return await self.decide(run)
        return False

    async def is_there(self, job: ClaimedJob) -> bool:
        """Ask the database; an outage is waited out."""
        outage = Outage(f"asking whether the transaction of job {job.id} is committed")
        while True:
            try:
                found = await self.ask(job)
            except DATABASE_FAULTS as fault:
                await outage.wait(fault)
            else:
                outage.over()
                return found

    async def ask(self, job: ClaimedJob) -> bool:
        """Ask the database once."""
        async with self._sessions() as session:
            return await session.scalar(outcomes.find_if_still_there(self._schema), {"id": job.id}) is not None
