"""KeptJobs: forgets forwarded jobs whose time is over, in the background of a worker pool that keeps some.

Each such pool looks every minute or so; two that look at once take different rows. Where no worker keeps jobs any more,
a cleanup forgets them (`gw_sqla.admin.cleaning`).
"""

from __future__ import annotations

import random

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.outage import DATABASE_FAULTS, Outage
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.statements import kept_jobs

__all__ = ["KeptJobs"]

_INTERVAL = 60.0
_BATCH = 1000
_SETTINGS = "set lock_timeout = '1s'; set statement_timeout = '50s'; set jit = off"


class KeptJobs:
    """Deletes them in small batches, over a connection that is open while it does."""

    def __init__(self, engine: AsyncEngine, schema: str, *, pooled: bool) -> None:
        self._connection = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._schema = schema
        self._outage = Outage("forgetting forwarded jobs")

    async def run(self) -> None:
        """Forget until cancelled; what fails is tried again after a while."""
        while True:
            try:
                await self.forget()
                self._outage.over()
            except DATABASE_FAULTS as fault:
                await self._outage.wait(fault)
            finally:
                await self.close()
            await anyio.sleep(_INTERVAL * random.uniform(0.5, 1))  # noqa: S311 - not a secret

    async def forget(self) -> int:
        """Delete all whose time is over; return how many."""
        forgotten = 0
        while True:
            found = len(await self._connection.fetch(kept_jobs.forget_kept(self._schema), {"count": _BATCH}))
            forgotten += found
            if found < _BATCH:
                return forgotten

    async def close(self) -> None:
        """Close the connection until the next statement; shielded, and not longer than some seconds."""
        await self._connection.close()
