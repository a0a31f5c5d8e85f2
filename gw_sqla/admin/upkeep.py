"""Cleaning up by hand: deletes what nobody needs any more (`gw_sqla.admin.cleaning`), or says how much that is.

Whether a pooler in transaction mode is in between, nobody says here: so it may be. The engine must keep no statement
prepared then (``statement_cache_size=0``).
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.admin.cleaning import Cleaned, Cleaning
from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError
from gw_sqla.jobs.argument_checks import check_schema_name, check_text
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["cleanup", "preview_cleanup"]

log = logging.getLogger(__name__)

_LINE_SECONDS = 5


async def cleanup(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    tasks: bool = True,
    queues: bool = True,
    failed_after: timedelta | None = None,
    keep_tasks: Collection[str] = (),
    actor: str | None = None,
) -> Cleaned:
    """Delete unused tasks and queues, and jobs that failed permanently ``failed_after`` ago or longer (None: no jobs).

    ``keep_tasks``: tasks to be kept though no job has them. Those of registered workers are; a worker of Graphile
    Worker for Node.js or Rust does not say which it knows, and one that has looked up a task's id does not find jobs of
    the task that comes back under another: name them here. ``actor``: who does it; a line is then left for
    `gw_sqla.admin.Admin.list_audit`, at the end, also where that is an error or a cancellation.

    Runs in transactions of its own, many small ones, over a connection that is opened like the engine's (asyncpg): an
    error or a cancellation leaves what is done. Raises ConfigurationError for bad arguments, InvalidJobError for an
    actor without a name and SchemaBehindError for a schema without our tables, before anything is done; the driver's
    errors.
    """
    _check(schema, failed_after, keep_tasks)
    if actor is not None:
        check_text("actor", actor, 200)
    cleaning = Cleaning(engine, schema, pooled=True)
    try:
        await cleaning.require_tables(of_audit=actor is not None)
        if actor is None:
            return await cleaning.clean(tasks=tasks, queues=queues, failed_after=failed_after, keep_tasks=keep_tasks)
        what = _what(tasks, queues, failed_after)
        try:
            cleaned = await cleaning.clean(tasks=tasks, queues=queues, failed_after=failed_after, keep_tasks=keep_tasks)
        except BaseException:
            await _leave_line_at_least(cleaning, actor, what)
            raise
        await cleaning.leave_line(actor, what)
        return cleaned
    finally:
        await cleaning.close()


async def preview_cleanup(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    tasks: bool = True,
    queues: bool = True,
    failed_after: timedelta | None = None,
    keep_tasks: Collection[str] = (),
) -> Cleaned:
    """Count what `cleanup` would delete with these arguments, and change nothing.

    Tasks and queues that only jobs have which it would delete, are counted too; what others have locked, or a foreign
    key of yours holds, would stay, and is counted all the same. One statement over a connection of its own, which the
    database ends after 50 seconds. Raises ConfigurationError for bad arguments, SchemaBehindError, and the
    driver's errors; a cancellation cancels the statement.
    """
    _check(schema, failed_after, keep_tasks)
    cleaning = Cleaning(engine, schema, pooled=True)
    try:
        await cleaning.require_tables(of_audit=False)
        return await cleaning.count(tasks=tasks, queues=queues, failed_after=failed_after, keep_tasks=keep_tasks)
    finally:
        await cleaning.close()


def _check(schema: str, failed_after: object, keep_tasks: Collection[str]) -> None:
    check_schema_name(schema)
    if failed_after is not None and not (isinstance(failed_after, timedelta) and failed_after >= timedelta(0)):
        raise ConfigurationError(
            f"failed_after: must be a timedelta that is not negative, or None, is {failed_after!r}"
        )
    if isinstance(keep_tasks, str) or not all(isinstance(task, str) for task in keep_tasks):
        raise ConfigurationError(f"keep_tasks: must be a list of task identifiers, is {keep_tasks!r}")


def _what(tasks: bool, queues: bool, failed_after: timedelta | None) -> str:
    meant = {
        "unused tasks": tasks,
        "unused queues": queues,
        f"jobs failed for {failed_after}": failed_after is not None,
    }
    return ", ".join(what for what, is_meant in meant.items() if is_meant) or "nothing"


async def _leave_line_at_least(cleaning: Cleaning, actor: str, what: str) -> None:
    """Leave the line of a cleanup that was ended, if the database is there."""
    with anyio.move_on_after(_LINE_SECONDS, shield=True):
        try:
            await cleaning.leave_line(actor, what)
        except DATABASE_FAULTS as fault:
            log.warning(
                "no line of the audit for the cleanup by %s (%s): %s", actor, cleaning.cleaned, error_text(fault)
            )
