"""Cleaning: deletes what nobody needs any more, in small batches that block nobody.

As Graphile Worker's ``cleanup`` tasks: unused task identifiers (``GC_TASK_IDENTIFIERS``), unused queues
(``GC_JOB_QUEUES``), jobs that failed permanently (``DELETE_PERMAFAILED_JOBS``). Beyond it: the tasks of registered
workers are kept, failed jobs can be kept for a while, and what a transaction was using when it was deleted comes back
(`gw_sqla.statements.cleanup`).

Batches commit by themselves, over a connection of its own: a caller's transaction would hold all of them up to its end.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.outage import is_answer
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.statements import cleanup as statements
from gw_sqla.statements import kept_jobs
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["Cleaned", "Cleaning", "cleanup"]

log = logging.getLogger(__name__)

_SETTINGS = "set lock_timeout = '1s'; set statement_timeout = '50s'; set jit = off"
_BATCH = 1000
_BATCH_OF_NAMES = 5000
"""Each reads the jobs once, to see which have none."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How much a cleanup has deleted.

    ``restored``: tasks and queues that came back, as jobs of theirs turned up; ``forwarded``: kept jobs whose time was
    over.
    """

    tasks: int = 0
    queues: int = 0
    failed_jobs: int = 0
    restored: int = 0
    forwarded: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks, {self.queues} queues and {self.failed_jobs} failed jobs removed"
            + (f", {self.restored} restored" if self.restored else "")
            + (f", {self.forwarded} forwarded jobs forgotten" if self.forwarded else "")
        )


class Cleaning:
    """The batches, over a connection that is opened when it is needed.

    Methods raise `gw_sqla.database.outage.DATABASE_FAULTS`, what was committed by then stays; a cancellation cancels
    the statement.
    """

    def __init__(self, engine: AsyncEngine, schema: str, *, pooled: bool = False) -> None:
        self._connection = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._schema = schema

    async def close(self) -> None:
        """Close the connection until the next statement; shielded, and not longer than some seconds."""
        await self._connection.close()

    async def take_turn(self, interval: timedelta) -> bool:
        """Tell whether no cleanup has begun for this long; then this one has."""
        parameters = {"work": "cleanup", "interval": interval}
        return bool(await self._connection.fetch(statements.take_turn(self._schema), parameters))

    async def clean(
        self, *, tasks: bool, queues: bool, failed_after: timedelta | None, keep_tasks: Collection[str]
    ) -> Cleaned:
        """Delete what there is of each; failed jobs first, since they use tasks and queues."""
        failed_jobs = 0 if failed_after is None else await self._remove_failed_jobs(failed_after)
        removed_tasks = await self._remove_tasks(keep_tasks) if tasks else 0
        removed_queues = await self._remove_queues() if queues else 0
        restored = await self.restore()
        await self._connection.fetch(statements.forget_removed(self._schema), {})
        return Cleaned(removed_tasks, removed_queues, failed_jobs, restored, await self.forget_kept())

    async def forget_kept(self) -> int:
        """Delete the jobs that were forwarded, kept, and whose time is over; return how many."""
        forgotten = 0
        while rows := await self._connection.fetch(kept_jobs.forget_kept(self._schema), {"count": _BATCH}):
            forgotten += len(rows)
            if len(rows) < _BATCH:
                break
        return forgotten

    async def restore(self) -> int:
        """Bring back what was removed while somebody added a job of it; return how much."""
        restored = 0
        for statement in (statements.restore_tasks(self._schema), statements.restore_queues(self._schema)):
            restored += len(await self._connection.fetch(statement, {}))
        return restored

    async def _remove_failed_jobs(self, age: timedelta) -> int:
        removed = 0
        after = -1
        while True:
            parameters = {"after": after, "age": age, "count": _BATCH}
            found = await self._connection.fetch(statements.find_failed_jobs(self._schema), parameters)
            ids = [row["id"] for row in found]
            if not ids:
                return removed
            removed += await self._remove_jobs(ids, age)
            after = ids[-1]

    async def _remove_jobs(self, ids: list[int], age: timedelta) -> int:
        """Delete these at once; where the server refuses one, as a foreign key of the user's does, each by itself."""
        statement = statements.remove_failed_jobs(self._schema)
        try:
            return len(await self._connection.fetch(statement, {"ids": ids, "age": age}))
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            if len(ids) == 1:
                log.debug("cleanup leaves job %d: %s", ids[0], error_text(refusal))
                return 0
        half = len(ids) // 2
        return await self._remove_jobs(ids[:half], age) + await self._remove_jobs(ids[half:], age)

    async def _remove_tasks(self, keep: Collection[str]) -> int:
        parameters = {"keep": list(keep), "count": _BATCH_OF_NAMES}
        return await self._until_none(statements.remove_tasks(self._schema), parameters)

    async def _remove_queues(self) -> int:
        return await self._until_none(statements.remove_queues(self._schema), {"count": _BATCH_OF_NAMES})

    async def _until_none(self, statement: ClauseElement, parameters: dict[str, Any]) -> int:
        removed = 0
        while rows := await self._connection.fetch(statement, parameters):
            removed += len(rows)
            if len(rows) < _BATCH_OF_NAMES:
                break
        return removed


async def cleanup(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    tasks: bool = True,
    queues: bool = True,
    failed_after: timedelta | None = None,
    keep_tasks: Collection[str] = (),
) -> Cleaned:
    """Delete unused tasks and queues, and jobs that failed permanently ``failed_after`` ago or longer (None: no jobs).

    ``keep_tasks``: tasks to be kept though no job has them. Those of registered workers are; a worker of Graphile
    Worker for Node.js or Rust does not say which it knows, and one that has looked up a task's id does not find jobs of
    the task that comes back under another: name them here.

    Runs in transactions of its own, many small ones, over a connection that is opened like the engine's (asyncpg): an
    error or a cancellation leaves what is done. Raises ConfigurationError for bad arguments, and the driver's errors.
    """
    check_schema_name(schema)
    if failed_after is not None and not (isinstance(failed_after, timedelta) and failed_after >= timedelta(0)):
        raise ConfigurationError(
            f"failed_after: must be a timedelta that is not negative, or None, is {failed_after!r}"
        )
    if isinstance(keep_tasks, str) or not all(isinstance(task, str) for task in keep_tasks):
        raise ConfigurationError(f"keep_tasks: must be a list of task identifiers, is {keep_tasks!r}")
    cleaning = Cleaning(engine, schema)
    try:
        return await cleaning.clean(tasks=tasks, queues=queues, failed_after=failed_after, keep_tasks=keep_tasks)
    finally:
        await cleaning.close()
