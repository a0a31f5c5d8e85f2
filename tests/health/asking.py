"""How tests of checks ask, and break things."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.health import Finding, examine
from tests.support.server import connect

JOBS = "graphile_worker._private_jobs"
QUEUES = "graphile_worker._private_job_queues"
REGISTER = (
    "insert into graphile_worker._private_sqla_workers values ('pool-a', now(), now() - $1::interval, '1 min', $2)"
)


async def found(engine: AsyncEngine, check: str, **options: Any) -> Finding:
    """Examine, and return the one finding of a check."""
    [finding] = [each for each in await examine(engine, **options) if each.check == check]
    return finding


async def run(url: str, sql: str, *arguments: object) -> None:
    """Run SQL on a connection of its own, on either event loop."""

    async def on_asyncio() -> None:
        connection = await connect(url)
        try:
            await connection.execute(sql, *arguments)
        finally:
            await connection.close()

    await call_asyncio(on_asyncio)
