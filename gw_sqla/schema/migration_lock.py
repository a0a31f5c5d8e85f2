"""How migrators take turns, and what is done about a peer's installer, which takes none.

gw_sqla's migrators take turns (an advisory lock). Installers of Graphile Worker know no lock of ours: whoever comes
second fails on the ledger with one of four codes, rolls back and finds on a second look that the work is done. While
a ledger is short and still growing (`SchemaState.being_installed`), an installer is at work and is waited for.

Whom a migration waits for is said (`gw_sqla.schema.lock_watch`), and how long it waits for each lock can be limited.

A try is one `call_asyncio`, from the connection to its closing: it is cancelled once, so the closing, which rolls back,
runs to its end on both event loops. With a call for each step, the last needed a shield of its own.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import TypeVar

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import (
    AccessError,
    ConfigurationError,
    GwSqlaError,
    SchemaError,
    SchemaInUseError,
    SchemaLockedError,
)
from gw_sqla.schema.lock_watch import LockWatch

__all__ = ["PeerAtWorkError", "in_turn", "lock_sql"]

R = TypeVar("R")
log = logging.getLogger(__name__)

_CLASHES = frozenset({"23505", "42P06", "42P07", "42710", "40P01"})
"""Somebody else has just made the same thing (the peers' four codes), or won a deadlock against us."""
_MOST_CLASHES = 6
"""An installer at work leaves its ledger behind at the second clash; so many mean that something else has the name."""


_TIMED_OUT = "55P03"
_LONGEST = timedelta(days=24)
"""PostgreSQL counts milliseconds in 31 bits."""
_LIMIT = sa.text("select pg_catalog.set_config('lock_timeout', :milliseconds, true)")
_BACKEND = sa.text("select pg_catalog.pg_backend_pid()")


class PeerAtWorkError(Exception):
    """A peer's installer has begun the ledger and not finished it; `in_turn` waits for it."""


def lock_sql(schema: str) -> str:
    """Return the statement that makes gw_sqla's migrators of this schema take turns, until the transaction ends."""
    digest = hashlib.sha256(f"gw_sqla migrates {schema}".encode()).digest()
    return f"select pg_catalog.pg_advisory_xact_lock({int.from_bytes(digest[:8], signed=True)})"


async def in_turn(
    engine: AsyncEngine, schema: str, work: Callable[[sa.Connection], R], lock_timeout: timedelta | None = None
) -> R:
    """Run `work` in a transaction of its own, again and again while other installers are at work; return what it does.

    ``lock_timeout`` is for how long it waits for each lock, and for another installer; None is without a limit.

    Raises SchemaLockedError after that time, AccessError, SchemaInUseError and SchemaError for what the database
    refuses, ConfigurationError for what Alembic does and for a time that cannot be waited, other database errors as
    they are, and what `work` raises. A cancellation rolls back.
    """
    from alembic.util import CommandError

    longest = _seconds(lock_timeout)
    clashes = pauses = 0
    began = monotonic()
    while True:
        watch = LockWatch(engine, schema, longest)
        try:
            return await _watched(watch, engine, work, longest)
        except PeerAtWorkError:
            if pauses == 0:
                log.warning("schema %r: another installer is at work, waiting for it", schema)
            if longest is not None and monotonic() - began > longest:
                raise SchemaLockedError(
                    schema, f"another installer is at work in schema {schema!r}, and was not done after {longest:g} s"
                ) from None
        except CommandError as error:
            raise ConfigurationError(str(error)) from error
        except DBAPIError as error:
            clashes += 1
            if _sqlstate(error) == _TIMED_OUT and longest is not None:
                raise SchemaLockedError(schema, _gave_up(schema, longest, watch.holders)) from error
            if _sqlstate(error) not in _CLASHES or clashes == _MOST_CLASHES:
                explained = _explained(error, schema)
                if explained is None:
                    raise
                raise explained from error
            log.info("schema %r: another installer was faster (%s), looking again", schema, _message(error))
        # Jitter, so that those who clashed once do not meet again.
        await anyio.sleep(min(1.0, 0.05 * 2**pauses) * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
        pauses += 1


async def _watched(
    watch: LockWatch, engine: AsyncEngine, work: Callable[[sa.Connection], R], longest: float | None
) -> R:
    """Run `work` while it is looked whom it waits for; what it raises is raised by itself, not in a group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        try:
            return await call_asyncio(_in_transaction, engine, work, watch, longest)
        except Exception as error:
            failure = error
        finally:
            group.cancel_scope.cancel()
    assert failure is not None
    raise failure


async def _in_transaction(
    engine: AsyncEngine, work: Callable[[sa.Connection], R], watch: LockWatch, longest: float | None
) -> R:
    async with engine.connect() as connection:
        # Each statement must see what was committed while it waited; an engine in autocommit would lose the lock.
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.begin()
        if longest is not None:
            await connection.execute(_LIMIT, {"milliseconds": str(max(1, round(longest * 1000)))})
        watch.backend = await connection.scalar(_BACKEND)
        result = await connection.run_sync(work)
        await connection.commit()
        return result


def _seconds(lock_timeout: timedelta | None) -> float | None:
    if lock_timeout is None:
        return None
    if not isinstance(lock_timeout, timedelta) or not timedelta(0) < lock_timeout <= _LONGEST:
        raise ConfigurationError(
            f"lock_timeout: must be a timedelta of more than 0 and at most 24 days, or None to wait without a limit; "
            f"is {lock_timeout!r}"
        )
    return lock_timeout.total_seconds()


def _gave_up(schema: str, longest: float, holders: str) -> str:
    return (
        f"schema {schema!r}: gave up after {longest:g} s of waiting for what {holders or 'another session'} holds; "
        "nothing was changed: let that end, or end it (pg_terminate_backend), or wait longer (lock_timeout)"
    )


def _explained(error: DBAPIError, schema: str) -> GwSqlaError | None:
    state, message = _sqlstate(error), _message(error)
    if state == "42501":
        return AccessError(f"the role may not migrate schema {schema!r} ({message}): use the role that owns it")
    if state == "55006":  # raised by our own downgrade
        return SchemaInUseError(schema, message)
    if state == "2BP01":
        return SchemaInUseError(schema, f"schema {schema!r} stays as it is: {message}")
    if state in _CLASHES:
        return SchemaError(schema, f"cannot create schema {schema!r}, something in it has the name: {message}")
    return None


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _message(error: DBAPIError) -> str:
    return " ".join(str(getattr(error.orig, "__cause__", None) or error.orig).split())
