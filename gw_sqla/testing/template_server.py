"""An embedded server with a migrated template, and databases that are copied from it.

Nothing in them is to survive a crash of the machine, so nothing waits for a disk.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gw_sqla.database.embedded import embedded_postgres
from gw_sqla.schema.migrations import migrate
from gw_sqla.statements.quoting import quoted

__all__ = ["copied", "template_server"]

_TEMPLATE = "gw_sqla_template"
_FAST = (
    "alter system set fsync = off",
    "alter system set full_page_writes = off",
    "select pg_catalog.pg_reload_conf()",
)


@contextmanager
def template_server(schema: str | None) -> Iterator[URL]:
    """Start a server that has the template; yield the URL of its maintenance database.

    Without a ``schema`` the template is empty.
    """
    with embedded_postgres() as server:
        _run(lambda: _prepare(server, schema))
        yield server


async def _prepare(server: URL, schema: str | None) -> None:
    await _execute(server, *_FAST, f"create database {quoted(_TEMPLATE)}")
    if schema is None:
        return
    engine = create_async_engine(server.set(database=_TEMPLATE), poolclass=NullPool)
    await migrate(engine, schema=schema)
    await engine.dispose()


@contextmanager
def copied(server: URL) -> Iterator[URL]:
    """Yield the URL of a new database of the server, a copy of the template."""
    name = f"gw_sqla_test_{os.getpid()}_{secrets.token_hex(4)}"
    _run(lambda: _execute(server, f"create database {quoted(name)} template {quoted(_TEMPLATE)}"))
    try:
        yield server.set(database=name)
    finally:
        _run(lambda: _execute(server, f"drop database {quoted(name)} with (force)"))


async def _execute(url: URL, *commands: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for command in commands:
            await connection.execute(text(command.replace(":", "\\:")))
    await engine.dispose()


def _run(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in an event loop of its own, in a thread: the caller's may run one."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
