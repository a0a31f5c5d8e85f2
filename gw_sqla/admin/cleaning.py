"""Cleaning: deletes what nobody needs any more, in small batches that block nobody.

As Graphile Worker's ``cleanup`` tasks: unused task identifiers (``GC_TASK_IDENTIFIERS``), unused queues
(``GC_JOB_QUEUES``), jobs that failed permanently (``DELETE_PERMAFAILED_JOBS``). Beyond it: the tasks of registered
workers are kept, failed jobs can be kept for a while, and what a transaction was using when it was deleted comes back
(`gw_sqla.statements.cleanup`).

Batches commit by themselves, over a connection of its own: a caller's transaction would hold all of them up to its end.
`gw_sqla.admin.upkeep` is for people, `gw_sqla.worker.cleanup` for workers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.admin import audit
from gw_sqla.database.outage import is_answer
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import SchemaBehindError
from gw_sqla.statements import cleanup as statements
from gw_sqla.statements.audit import write
from gw_sqla.statements.rust_tables import find_table

__all__ = ["Cleaned", "Cleaning"]

log = logging.getLogger(__name__)

_SETTINGS = "set lock_timeout = '1s'; set statement_timeout = '50s'; set jit = off"
_BATCH = 1000
_BATCH_OF_NAMES = 5000
"""Each reads the jobs once, to see which have none."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How much a cleanup has deleted, or would; ``restored``: tasks and queues that came back, as jobs needed them."""

    tasks: int = 0
    queues: int = 0
    failed_jobs: int = 0
    restored: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        return f"{self.tasks} tasks, {self.queues} queues and {self.failed_jobs} failed jobs removed" + (
            f", {self.restored} restored" if self.restored else ""
        )


class Cleaning:
    """The batches, over a connection that is opened when it is needed; ``cleaned`` is what they have deleted so far.

    Methods raise `gw_sqla.database.outage.DATABASE_FAULTS`, what was committed by then stays; a cancellation cancels
    the statement.
    """

    def __init__(self, engine: AsyncEngine, schema: str, *, pooled: bool = False) -> None:
        self._connection = WorkerConnection(engine, settings=_SETTINGS, pooled=pooled)
        self._schema = schema
        self.cleaned = Cleaned()

    async def close(self) -> None:
        """Close the connection until the next statement; shielded, and not longer than some seconds."""
        await self._connection.close()

    async def take_turn(self, interval: timedelta) -> bool:
        """Tell whether no cleanup has begun for this long; then this one has."""
        parameters = {"work": "cleanup", "interval": interval}
        return bool(await self._connection.fetch(statements.take_turn(self._schema), parameters))

    async def require_tables(self, *, of_audit: bool) -> None:
        """Raise SchemaBehindError where a table is missing that cleaning needs, or the line that is left of it."""
        for table in ("_private_sqla_workers", "_private_sqla_removed"):
            [row] = await self._connection.fetch(find_table(self._schema, table), {})
            if not row["found"]:
                raise SchemaBehindError(
                    self._schema,
                    f"schema {self._schema!r} has no table {table}, so nothing can be cleaned up: run 'python -m "
                    "gw_sqla migrate'",
                )
        if of_audit:
            [row] = await self._connection.fetch(audit.find_audit(self._schema), {})
            if not row["found"]:
                raise audit.no_audit(self._schema)

    async def leave_line(self, actor: str, subject: str) -> None:
        """Leave a line of what was deleted so far."""
        done = self.cleaned
        detail = f"tasks={done.tasks} queues={done.queues} restored={done.restored}"
        line = audit.line(actor, "cleanup", detail, subject, done.failed_jobs, 0)
        await self._connection.fetch(write(self._schema), line)

    async def clean(
        self, *, tasks: bool, queues: bool, failed_after: timedelta | None, keep_tasks: Collection[str]
    ) -> Cleaned:
        """Delete what there is of each; failed jobs first, since they use tasks and queues."""
        self.cleaned = Cleaned()
        if failed_after is not None:
            await self._remove_failed_jobs(failed_after)
        if tasks:
            await self._remove_names("tasks", statements.remove_tasks(self._schema), {"keep": list(keep_tasks)})
        if queues:
            await self._remove_names("queues", statements.remove_queues(self._schema), {})
        self._count(restored=await self.restore())
        await self._connection.fetch(statements.forget_removed(self._schema), {})
        return self.cleaned

    async def count(
        self, *, tasks: bool, queues: bool, failed_after: timedelta | None, keep_tasks: Collection[str]
    ) -> Cleaned:
        """Count what `clean` would delete, but for what others have locked or the server refuses; change nothing."""
        parameters = {"tasks": tasks, "queues": queues, "age": failed_after, "keep": list(keep_tasks)}
        [row] = await self._connection.fetch(statements.count_unneeded(self._schema), parameters)
        return Cleaned(row["tasks"], row["queues"], row["failed_jobs"])

    async def restore(self) -> int:
        """Bring back what was removed while somebody added a job of it; return how much."""
        restored = 0
        for statement in (statements.restore_tasks(self._schema), statements.restore_queues(self._schema)):
            restored += len(await self._connection.fetch(statement, {}))
        return restored

    def _count(self, **more: int) -> None:
        self.cleaned = replace(self.cleaned, **{name: getattr(self.cleaned, name) + n for name, n in more.items()})

    async def _remove_failed_jobs(self, age: timedelta) -> None:
        after = -1
        while True:
            parameters = {"after": after, "age": age, "count": _BATCH}
            found = await self._connection.fetch(statements.find_failed_jobs(self._schema), parameters)
            ids = [row["id"] for row in found]
            if not ids:
                return
            await self._remove_jobs(ids, age)
            after = ids[-1]

    async def _remove_jobs(self, ids: list[int], age: timedelta) -> None:
        """Delete these at once; where the server refuses one, as a foreign key of the user's does, each by itself."""
        statement = statements.remove_failed_jobs(self._schema)
        try:
            self._count(failed_jobs=len(await self._connection.fetch(statement, {"ids": ids, "age": age})))
            return
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            if len(ids) == 1:
                log.debug("cleanup leaves job %d: %s", ids[0], error_text(refusal))
                return
        half = len(ids) // 2
        await self._remove_jobs(ids[:half], age)
        await self._remove_jobs(ids[half:], age)

    async def _remove_names(self, kind: str, statement: ClauseElement, parameters: dict[str, Any]) -> None:
        while rows := await self._connection.fetch(statement, parameters | {"count": _BATCH_OF_NAMES}):
            self._count(**{kind: len(rows)})
            if len(rows) < _BATCH_OF_NAMES:
                return
