"""Both kinds of session through one door: each test asks the same of Admin and of SyncAdmin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.admin import Admin, ScanLimits, SyncAdmin

ROOMY = ScanLimits(timeout=timedelta(seconds=20))
"""For tests that are not of the limits: the machine may be busy."""

__all__ = ["ROOMY", "Door", "Transaction"]

Run = Callable[..., Any]


@dataclass(frozen=True)
class Transaction:
    """A caller's transaction: asks Admin in it by the methods' names, and PostgreSQL by SQL."""

    session: AsyncSession | Session
    admin: Admin | SyncAdmin

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        call = getattr(self.admin, method)
        if isinstance(self.session, AsyncSession):
            return await call(self.session, *arguments, **options)
        return await anyio.to_thread.run_sync(lambda: call(self.session, *arguments, **options))

    async def value(self, sql: str) -> Any:
        if isinstance(self.session, AsyncSession):
            result: Any = await self.session.execute(sa.text(sql))
            return result.scalar() if result.returns_rows else None
        session = self.session

        def execute() -> Any:
            result: Any = session.execute(sa.text(sql))
            return result.scalar() if result.returns_rows else None

        return await anyio.to_thread.run_sync(execute)


@dataclass(frozen=True)
class Door:
    """Opens transactions of one kind of session; they are committed at the end."""

    sessions: async_sessionmaker[AsyncSession]
    sync_engine: sa.Engine | None
    schema: str

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        if self.sync_engine is None:
            async with self.sessions.begin() as session:
                yield Transaction(session, Admin(self.schema, limits=ROOMY))
        else:
            with Session(self.sync_engine) as session:
                yield Transaction(session, SyncAdmin(self.schema, limits=ROOMY))
                session.commit()

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Ask in a transaction of its own."""
        async with self.begin() as transaction:
            return await transaction.ask(method, *arguments, **options)
