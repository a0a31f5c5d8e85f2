"""All checks, one after the other, each in a short transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.health import queue_checks, schema_checks, server_checks
from gw_sqla.health.finding import Finding
from gw_sqla.health.link_checks import link
from gw_sqla.health.look import Check, Look, looked
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.rights import RoleKind
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["examine"]

_JOBS, _QUEUES, _TASKS = "_private_jobs", "_private_job_queues", "_private_tasks"
_WORKERS, _PAUSES, _CRONTABS = "_private_sqla_workers", "_private_sqla_pauses", "_private_known_crontabs"

_CHECKS = (
    Check("server", server_checks.server),
    Check("connections", server_checks.connections),
    Check("transactions", server_checks.oldest_transaction),
    Check("schema", schema_checks.schema),
    Check("rights", schema_checks.rights),
    Check("workers", queue_checks.workers, (_WORKERS,)),
    Check("locks", queue_checks.locks, (_JOBS, _QUEUES, _WORKERS)),
    Check("queues", queue_checks.queues, (_JOBS, _QUEUES)),
    Check("tasks", queue_checks.tasks, (_JOBS, _TASKS, _WORKERS)),
    Check("forwarding", queue_checks.forwarding, (_JOBS, _TASKS, _WORKERS)),
    Check("pauses", queue_checks.pauses, (_PAUSES,)),
    Check("crontabs", queue_checks.crontabs, (_CRONTABS,)),
    Check("storage", schema_checks.storage),
)


async def examine(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    as_: RoleKind = "worker",
    items: Sequence[CronItem] | None = None,
) -> list[Finding]:
    """Look at the database, the worker schema and its queues, as the engine's role; change nothing.

    Takes two connections of the engine, for some round trips, and 5 seconds more where no notification is heard. No
    statement may take longer than 10 seconds. What cannot be looked at is a finding that says why.

    Parameters: ``schema``, the worker schema's name, unquoted; ``as_``, for whose work the role's rights must do;
    ``items``, the cron items that should be scheduled (None: it is not looked whether they are).
    Raises ConfigurationError for an impossible schema name, and what opening a connection raises. A cancellation gives
    the connections back.
    """
    check_schema_name(schema)
    return await call_asyncio(_examine, engine, schema, as_, items)


async def _examine(engine: AsyncEngine, schema: str, as_: RoleKind, items: Sequence[CronItem] | None) -> list[Finding]:
    async with engine.connect() as connection:
        server, *rest = await connection.run_sync(_look, schema, as_, items)
    return [*server, *await link(engine, schema), *(finding for found in rest for finding in found)]


def _look(connection: Connection, schema: str, as_: RoleKind, items: Sequence[CronItem] | None) -> list[list[Finding]]:
    look = Look(connection, schema, as_, items)
    return [looked(check, look) for check in _CHECKS]
