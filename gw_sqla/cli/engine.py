"""The engine of a command: opened, closed, and its connection errors put into words."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.cli.error_report import UnreachableError
from gw_sqla.database.event_loops import call_asyncio, database_loop
from gw_sqla.database.url_parameters import in_dsn

__all__ = ["connected"]

_CONNECT_SECONDS = 10
"""How long one connection may take to be made: a firewall that drops packets must not hang a command."""

_OF_OUTPUT = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF})
"""Faults of what a command prints while it is connected: no connecting ends in them."""

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters of a URL that name files of TLS."""


@asynccontextmanager
async def connected(url: URL, *, keeps_statements: bool = False, **options: Any) -> AsyncIterator[AsyncEngine]:
    """Yield an engine, with an asyncio loop for its driver open on trio too; dispose of it at the end.

    ``keeps_statements``: they are kept prepared, which takes a database without a pooler in transaction mode before it;
    only a command that runs for long gains by it. ``options`` are those of ``create_async_engine``. Raises
    UnreachableError for faults of the network, and what the block raises. A cancellation disposes of the engine.
    """
    arguments: dict[str, Any] = {"timeout": _CONNECT_SECONDS}
    if "application_name" not in in_dsn(url):
        arguments["server_settings"] = {"application_name": "gw_sqla"}  # it would win over the URL's
    if not keeps_statements:
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    engine = create_async_engine(url, connect_args=arguments, **options)
    async with database_loop():
        try:
            yield engine
        except OSError as error:
            if error.errno in _OF_OUTPUT:
                raise
            raise UnreachableError(
                f"cannot connect to the database at {_address(url)}: {_reason(error, url)}"
            ) from error
        finally:
            with anyio.CancelScope(shield=True):
                await call_asyncio(engine.dispose)


def _address(url: URL) -> str:
    host = url.query.get("host", url.host) or "the default address"
    port = url.query.get("port", url.port)
    return f"{host}, port {port}" if port else f"{host}"


def _reason(error: OSError, url: URL) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_SECONDS} s"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError | PermissionError):  # of a certificate or key; ssl does not say which
        given = in_dsn(url)
        missing = [name for name in _FILES if name in given and not os.access(given[name], os.R_OK)]
        return f"{reason} ({', '.join(missing)})" if missing else reason
    return reason
