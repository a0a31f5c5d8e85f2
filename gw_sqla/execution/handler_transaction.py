"""The transaction of a handler that takes a session: begun, committed and rolled back by the worker."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession

from gw_sqla.database.outage import is_conflict
from gw_sqla.database.session import AsyncSession
from gw_sqla.database.transaction_end import commit_patiently
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import Snooze
from gw_sqla.execution.job_context import Workplace
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Task

__all__ = ["Call", "Gather", "in_transaction"]

log = logging.getLogger(__name__)

Call = Callable[[Run], Awaitable[Any]]
Gather = Callable[[Run, AsyncSession | None], tuple[list[Any], dict[str, Any]]]
"""Makes the arguments of a handler, by position and by name."""

_ASK = select(literal(1))
_ABORTED = "25P02"

_MOST_CONFLICTS = 5
"""How often a transaction that met another is run again at once, before that is a failure of the job."""

_LONGEST_PAUSE = 0.02
"""Seconds, at random up to this many times the number of the conflict: those that met do not meet again."""


def in_transaction(task: Task[Any], gather: Gather, workplace: Workplace) -> Call:
    """Call the handler in a session's transaction, which is committed when it returns and rolled back when it raises.

    PostgreSQL answers the commit of a transaction that an error has aborted with a rollback and no
    error. A handler may have caught that error; hence a statement before the commit, which then fails.

    A transaction that fails for the sake of another (a serialization failure, a deadlock) is run again at once, a
    few times, in the same attempt. The handler runs again from its beginning, as for any other attempt.
    """

    async def call(run: Run) -> Any:
        for conflicts in range(1, _MOST_CONFLICTS + 1):
            try:
                return await once(run)
            except DBAPIError as error:
                if not is_conflict(error) or run.is_completed_by_handler:
                    raise
                log.debug(
                    "job %d: its transaction met another one, and is run again: %s", run.job.id, error_text(error)
                )
            await anyio.sleep(random.uniform(0, conflicts * _LONGEST_PAUSE))  # noqa: S311 - no secret
        return await once(run)

    async def once(run: Run) -> Any:
        async with workplace.sessions() as session:
            transaction = session.sync_session.begin()  # talks to no database yet
            positional, named = gather(run, session)
            result = await task.handler(*positional, **named)
            if session.sync_session.get_transaction() is not transaction:
                raise RuntimeError(
                    "the handler ended the transaction of its session (commit, rollback or close), which is the "
                    "worker's to end: for a transaction of its own it has ctx.session()"
                )
            if task.transactional and isinstance(result, Snooze):
                raise RuntimeError(
                    "a transactional handler returned Snooze: its commit would complete the job; raise it, which rolls "
                    "the transaction back"
                )
            await anyio.lowlevel.checkpoint_if_cancelled()  # a timeout that the handler ignored
            await _commit(task, run, session, workplace)
        return result

    return call


async def _commit(task: Task[Any], run: Run, session: AsyncSession, workplace: Workplace) -> None:
    try:
        if task.transactional:
            await workplace.completions.complete(run, session, is_last=True)
        else:
            await session.execute(_ASK)
        await commit_patiently(partial(SqlalchemySession.commit, session))
    except DBAPIError as error:
        if task.transactional and is_conflict(error):
            run.rolled_back()
        if getattr(error.orig, "sqlstate", None) != _ABORTED:
            raise
        raise RuntimeError(
            "the handler caught an error of the database that has aborted its transaction; nothing can be committed: "
            "put what may fail into a savepoint, session.begin_nested()"
        ) from error
