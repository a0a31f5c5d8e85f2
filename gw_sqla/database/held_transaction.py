"""HeldTransaction: a connection of a worker's whose transaction stays open over several statements.

The transaction ends with the connection, and with everything that befalls that: an error but the server's answer to a
statement closes it. It can be gone without notice (an administrator, a pooler, the server's own
``idle_in_transaction_session_timeout``, which holds even where the event loop stands still); the next call tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.driver_statements import for_driver
from gw_sqla.database.event_loops import call_asyncio, call_asyncio_shielded
from gw_sqla.database.outage import ConnectError, is_answer
from gw_sqla.database.worker_connection import STATEMENT_SECONDS, WorkerConnection

__all__ = ["HeldTransaction"]

_LOCK_TIMEOUT_MS = 200
"""A statement that waits in the transaction keeps others from what it holds."""


class HeldTransaction(WorkerConnection):
    """To be used by one task at a time, on either event loop. All methods raise `DATABASE_FAULTS`.

    ``idle_seconds``: after so long without a statement the server ends the transaction, and the connection.
    """

    def __init__(self, engine: AsyncEngine, *, idle_seconds: float, pooled: bool = False) -> None:
        super().__init__(engine, pooled=pooled)
        begin = [
            "begin isolation level read committed",
            "set constraints all immediate",  # a row is refused by its statement, never by the commit
            f"set local lock_timeout = '{_LOCK_TIMEOUT_MS}ms'",
            f"set local idle_in_transaction_session_timeout = '{round(idle_seconds * 1000)}ms'",
        ]
        if pooled:
            begin.insert(1, self._settings)
        self._begin_sql = ";\n".join(begin)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._driver is not None and not self._driver.is_closed()

    async def begin(self, lock_key: int) -> None:
        """Begin, with the advisory lock ``lock_key``. To be called shielded, as `fetch_inside_shielded`."""
        await call_asyncio_shielded(self._begin, lock_key)

    async def fetch_inside_shielded(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run a statement in the transaction, for a caller in a shielded scope."""
        return await call_asyncio_shielded(self._fetch_inside, statement, parameters)

    async def fetch_inside(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run a statement in the transaction, which goes on where the server only refuses it: up to a savepoint."""
        return await call_asyncio(self._fetch_inside, statement, parameters)

    async def execute_inside(self, sql: str) -> None:
        """Run ``savepoint``, ``rollback to savepoint`` or ``rollback``."""
        await call_asyncio(self._execute_inside, sql)

    async def commit(self) -> None:
        """Commit; raises where it is not known to be committed."""
        await call_asyncio(self._commit)

    async def _begin(self, lock_key: int) -> None:
        async with self._closed_on_error():
            driver = await self._opened()
            await driver.execute(f"{self._begin_sql};\nselect pg_catalog.pg_advisory_xact_lock({lock_key:d})")

    async def _fetch_inside(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        sql, arguments = for_driver(statement, parameters)
        async with self._inside() as driver:
            rows: Sequence[Any] = await driver.fetch(sql, *arguments)
        return rows

    async def _execute_inside(self, sql: str) -> None:
        async with self._inside() as driver:
            await driver.execute(sql)

    async def _commit(self) -> None:
        async with self._inside() as driver:
            if await driver.execute("commit") != "COMMIT":  # of an aborted transaction: it is rolled back
                raise ConnectError("the transaction was rolled back")

    @asynccontextmanager
    async def _inside(self) -> AsyncIterator[Any]:
        """Give the driver's connection that has the transaction; close it when anything but a refusal leaves."""
        if self._driver is None:
            raise ConnectError("the transaction has ended with its connection")
        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                yield self._driver
        except asyncpg.PostgresError as error:
            if self._driver.is_closed() or not is_answer(error):
                await self._lose()
            raise
        except TimeoutError:
            self._driver.terminate()
            await self._lose()
            raise
        except BaseException:
            await self._lose()
            raise
