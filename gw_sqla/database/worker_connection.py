"""WorkerConnection: one connection that a worker keeps, and runs its own statements on, one after the other.

The statements are built and compiled by SQLAlchemy, once, and run on the driver's connection, in
autocommit. Through SQLAlchemy's connection each would cost a check-out, an execution context and a
result: for the claim and the completion of 24 jobs that was more time than PostgreSQL took for them.
The connection is made as the engine's pool makes its own, by the same creator and with the same events, but not by
that pool, which is the handlers': they may hold all that it has, and a worker that waits for one of them cannot say
that it is alive. After a fault it is closed, and the next statement opens another. Whatever opening one raises is a
fault of the database: a token service, TLS, a name server.

Its statements run at READ COMMITTED, whatever the engine, the role or the database say: they lock rows around those
of others and go by what is committed, which the stricter levels answer with an error. And with a search path of
PostgreSQL's own objects: what others may create on the role's path, functions and operators of the same names among it,
is called neither by them nor by the schema's functions, a peer's included.

A queue's table is empty at one moment and holds a hundred thousand jobs at the next, so its statistics
are wrong most of the time. From them PostgreSQL likes to read and sort the whole table for a claim of 24
jobs (20,000 jobs, never analyzed: 6.4 ms instead of 0.3). Hence the session's settings: walk the
indexes, which are made for these statements, and plan them once.

Through a pooler in transaction mode a session is somebody else's after each transaction: ``pooled`` then
puts each statement, with its settings, in a transaction of its own. (Even in autocommit that would be
needed: the driver prepares and runs a statement in two steps, and the server may change between them.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar

import anyio
import asyncpg
from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.driver_statements import for_driver, sql_for_driver
from gw_sqla.database.event_loops import call_asyncio, call_asyncio_shielded
from gw_sqla.database.lost_backends import end_backends, own_backend
from gw_sqla.database.outage import DATABASE_FAULTS, ConnectError, is_refusal, waited_for_lock
from gw_sqla.database.own_pool import with_own_pool
from gw_sqla.error_texts.error_text import error_text

__all__ = ["SESSION_SETTINGS", "STATEMENT_SECONDS", "WorkerConnection"]

R = TypeVar("R")
log = logging.getLogger(__name__)

SESSION_SETTINGS = """set lock_timeout = '5s';
set enable_seqscan = off;
set enable_bitmapscan = off;
set enable_sort = off;
set enable_incremental_sort = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set jit = off;
set plan_cache_mode = force_generic_plan"""

STATEMENT_SECONDS = 60.0
"""How long an answer may take, and the opening of a connection. A network that has forgotten a connection lets it wait
for ever otherwise."""

_CLOSE_SECONDS = 2

_LOOKS_FOR_LOST = 20
_LOOK_SECONDS = 0.05

_READ_COMMITTED = "set default_transaction_isolation = 'read committed'"

_SEARCH_PATH = "set search_path = pg_catalog, pg_temp"
"""Unnamed, ``pg_temp`` would be the first place for types."""


class WorkerConnection:
    """To be used by one task at a time, on either event loop. ``pooled``: a pooler in transaction mode may be between.

    It holds its connection from the moment there is one: a call that is cancelled just as it ends has no
    result, so whoever stops using it closes it, whatever its last call did.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: str = SESSION_SETTINGS,
        *,
        pooled: bool = False,
        isolation_level: IsolationLevel = "AUTOCOMMIT",
        ends_backends: bool = False,
    ) -> None:
        self._engine = engine
        self._isolation_level: IsolationLevel = isolation_level
        self._pooled = pooled
        settings = f"{_SEARCH_PATH};\n{settings}"
        self._settings = settings.replace("set ", "set local ") if pooled else settings
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._ends_backends = ends_backends
        self._backend: tuple[int, datetime | None] | None = None
        self._lost_backends: list[tuple[int, datetime | None]] = []
        self._lost_until = 0.0

    async def fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement and return the driver's rows.

        Raises `gw_sqla.database.outage.DATABASE_FAULTS`, of which one is the TimeoutError when no answer has come for
        `STATEMENT_SECONDS`; a cancellation cancels the statement. After any of them the connection is closed, but where
        the server has only refused this statement.
        """
        return await call_asyncio(self._fetch, statement, parameters)

    async def fetch_shielded(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """The same for a caller in a shielded scope: without the cost of a cancellation that cannot come."""
        return await call_asyncio_shielded(self._fetch, statement, parameters)

    async def fetch_under(self, settings: str, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        """Run one statement under settings that hold for it alone, ``set local ...``; otherwise as `fetch`."""
        return await call_asyncio(self._fetch_under, settings, statement, parameters)

    async def run_sync(self, work: Callable[[Connection], R]) -> R:
        """Call a function with SQLAlchemy's connection; return its result. Bounded, raised and cancelled as `fetch`."""
        return await call_asyncio(self._run_sync, work)

    async def close(self) -> None:
        """Close the connection; shielded, and not longer than some seconds. A fault in it is logged."""
        with anyio.CancelScope(shield=True):
            try:
                await self.disconnect()
            except DATABASE_FAULTS as fault:
                log.debug("closing a connection of the worker's own: %s", error_text(fault))

    async def cut_off(self) -> None:
        """End the connection at once: a statement that is under way on it fails, as by the network."""
        await call_asyncio(self._cut_off)

    async def disconnect(self) -> None:
        """Close the connection until the next statement; raises what closing raises."""
        await call_asyncio(self._close)

    async def lost_have_ended(self) -> bool:
        """Tell whether no backend of an earlier connection can still be at work; those that are there are told to end.

        A network that fails tells the server nothing: it may finish a statement, or even receive it, long after this
        side has given up. Only for ``ends_backends``; raises and cancels as `fetch`. Through a pooler nobody knows
        the backend: then for as long as an answer may take nothing is known to have ended.
        """
        if self._pooled:
            return monotonic() >= self._lost_until
        for _ in range(_LOOKS_FOR_LOST):
            if not self._lost_backends:
                return True
            pids, starts = zip(*self._lost_backends, strict=True)
            try:
                left = await self.fetch(end_backends(), {"pids": list(pids), "starts": list(starts)})
            except asyncpg.InsufficientPrivilegeError as refusal:
                log.debug("a lost backend cannot be ended: %s", error_text(refusal))
                return False
            if not left:
                self._lost_backends.clear()
                return True
            if any(row["told"] is None for row in left):
                return False
            await anyio.sleep(_LOOK_SECONDS)
        return False

    async def driver(self) -> Any:
        """Return the driver's connection, opened if there is none. In asyncio; raises and cancels as `fetch`."""
        async with self._closed_on_error():
            return await self._opened()

    async def _fetch(self, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        sql, arguments = for_driver(statement, parameters)
        async with self._closed_on_error():
            driver = await self._opened()
            if self._pooled:
                return await self._fetch_in_transaction(self._settings, sql, arguments)
            rows: Sequence[Any] = await driver.fetch(sql, *arguments)
        return rows

    async def _run_sync(self, work: Callable[[Connection], R]) -> R:
        async with self._closed_on_error():
            await self._opened()
            assert self._connection is not None
            result = await self._connection.run_sync(work)
            await self._connection.rollback()
        return result

    @asynccontextmanager
    async def _closed_on_error(self) -> AsyncIterator[None]:
        """Bound the block's time; close the connection when anything leaves it but the refusal of a statement."""
        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                yield
        except asyncpg.PostgresError as error:
            if self._driver is None or self._driver.is_closed() or not (is_refusal(error) or waited_for_lock(error)):
                await self._lose()
            raise
        except TimeoutError:
            if self._driver is not None:
                self._driver.terminate()  # whoever does not answer does not say goodbye either
            await self._lose()
            raise
        except BaseException:
            await self._lose()
            raise

    async def _lose(self) -> None:
        """Close the connection, whose backend may be at work still."""
        if self._backend is not None:
            self._lost_backends.append(self._backend)
        self._lost_until = monotonic() + STATEMENT_SECONDS
        await self._close()

    async def _cut_off(self) -> None:
        if self._driver is not None:
            self._driver.terminate()

    async def _close(self) -> None:
        """Close the connection, if there is one; one that does not answer is cut off.

        By the driver: SQLAlchemy would wait as long, in a task whose error nobody asks for.
        """
        connection, driver = self._connection, self._driver
        self._connection = self._driver = self._backend = None
        if connection is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await driver.close()
        except TimeoutError:
            log.debug("a connection of the worker's own did not answer when it was closed")
        finally:
            driver.terminate()
            await connection.invalidate()
            await connection.close()

    async def _fetch_under(self, settings: str, statement: ClauseElement, parameters: dict[str, Any]) -> Sequence[Any]:
        sql, arguments = for_driver(statement, parameters)
        async with self._closed_on_error():
            await self._opened()
            if self._pooled:
                settings = f"{self._settings};\n{settings}"
            return await self._fetch_in_transaction(settings, sql, arguments)

    async def _fetch_in_transaction(self, settings: str, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        async with self._driver.transaction(isolation="read_committed"):
            await self._driver.execute(settings)
            rows: Sequence[Any] = await self._driver.fetch(sql, *values)
        return rows

    async def _opened(self) -> Any:
        if self._connection is not None:
            return self._driver
        try:
            own = with_own_pool(self._engine, isolation_level=self._isolation_level)
            self._connection = connection = await own.connect()
        except asyncpg.PostgresError as refusal:  # of this login, not of a statement
            raise ConnectError(error_text(refusal)) from refusal
        except DATABASE_FAULTS:
            raise
        except Exception as error:  # whatever a program's own way of connecting raises
            raise ConnectError(error_text(error)) from error
        assert connection.sync_connection is not None
        self._driver = connection.sync_connection.connection.driver_connection
        connection.sync_connection.detach()
        if not self._pooled:
            await self._driver.execute(f"{_READ_COMMITTED};\n{self._settings}")
            if self._ends_backends:
                self._backend = tuple(await self._driver.fetchrow(sql_for_driver(own_backend())))
        return self._driver
