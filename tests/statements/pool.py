"""A worker pool as the database sees it: the statements of claim and finish on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.base import Executable

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.statements import outcomes
from gw_sqla.statements.claim import claim
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.claim_position import START


class Pool:
    """Runs the statements for one pool id. What a test does not commit stays in an open transaction."""

    def __init__(self, connection: AsyncConnection, pool_id: str, schema: str) -> None:
        self.connection = connection
        self.pool_id = pool_id
        self.schema = schema

    async def claim(
        self,
        count: int = 100,
        *,
        tasks: Sequence[str] = ("a",),
        forbidden: Sequence[str] = (),
        after: tuple[int, datetime, int] = START,
    ) -> list[ClaimedJob]:
        parameters = {"task_identifiers": tasks, "count": count, "pool_id": self.pool_id}
        parameters |= zip(("after_priority", "after_run_at", "after_id"), after, strict=True)
        if forbidden:
            parameters["forbidden_flags"] = forbidden
        rows = await self.connection.execute(claim(self.schema, forbidding_flags=bool(forbidden)), parameters)
        return [ClaimedJob(**row._mapping) for row in rows]

    async def complete(self, *ids: int) -> set[int]:
        return await self._finish(outcomes.complete(self.schema), ids=ids)

    async def give_back(self, *ids: int) -> set[int]:
        return await self._finish(outcomes.give_back(self.schema), ids=ids)

    async def give_back_forgotten(self, *known: int) -> set[int]:
        return await self._finish(outcomes.give_back_forgotten(self.schema), ids=known)

    async def fail(
        self,
        *ids: int,
        messages: Sequence[str] = (),
        delays: Sequence[float | None] = (),
        final: Sequence[bool] = (),
        payloads: Sequence[str | None] = (),
    ) -> set[int]:
        return await self._finish(
            outcomes.fail(self.schema),
            ids=ids,
            messages=messages or ["broken"] * len(ids),
            delays=delays or [None] * len(ids),
            final=final or [False] * len(ids),
            payloads=payloads or [None] * len(ids),
        )

    async def commit(self) -> None:
        await self.connection.commit()

    async def now(self) -> Any:
        """The start of the open transaction."""
        return (await self.connection.execute(text("select now()"))).scalar_one()

    async def _finish(self, statement: Executable, **parameters: Any) -> set[int]:
        rows = await self.connection.execute(statement, {**parameters, "pool_id": self.pool_id})
        return {row.id for row in rows}


@asynccontextmanager
async def open_pool(engine: AsyncEngine, pool_id: str, schema: str = DEFAULT_SCHEMA) -> AsyncIterator[Pool]:
    """Open a pool whose statements fail, rather than wait, when another transaction has a lock they need."""
    async with engine.connect() as connection:
        await connection.execute(text("set lock_timeout = '2s'"))
        await connection.commit()
        yield Pool(connection, pool_id, schema)
