"""Runs a call in a caller's session of either kind, after a look at whether it is of that kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from gw_sqla.database.event_loops import call_asyncio, on_trio
from gw_sqla.database.session import AsyncSession as SessionOfBothLoops
from gw_sqla.errors import InvalidJobError, SessionError

__all__ = ["AnyAsyncSession", "AnySyncSession", "call_in_async", "call_in_sync"]

T = TypeVar("T")
AnyAsyncSession: TypeAlias = AsyncSession | async_scoped_session[Any]
AnySyncSession: TypeAlias = Session | scoped_session[Any]


async def call_in_async(session: AnyAsyncSession, call: Callable[[Session], T], *, of_sync: str) -> T:
    """Let an AsyncSession run the call; ``of_sync`` is what is for a Session."""
    if isinstance(session, async_scoped_session):
        session = session()
    if not isinstance(session, AsyncSession):
        kind = type(session).__name__
        raise InvalidJobError("session", f"must be an AsyncSession, not {kind} (for Session: {of_sync})")
    if on_trio() and not isinstance(session, SessionOfBothLoops):
        raise SessionError(
            "SQLAlchemy's own AsyncSession speaks asyncio only, and this program runs on trio: use "
            "gw_sqla.AsyncSession, which gw_sqla.async_sessionmaker makes"
        )
    return await call_asyncio(AsyncSession.run_sync, session, call)


def call_in_sync(session: AnySyncSession, call: Callable[[Session], T], *, of_async: str) -> T:
    """Run the call in a Session; ``of_async`` is what is for an AsyncSession."""
    if isinstance(session, scoped_session):
        session = session()
    if not isinstance(session, Session):
        kind = type(session).__name__
        raise InvalidJobError("session", f"must be a Session, not {kind} (for AsyncSession: {of_async})")
    return call(session)
