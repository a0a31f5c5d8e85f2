"""The worker's statements in a schema whose name needs quoting, on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.schema.migrations import migrate
from gw_sqla.statements import job_queries
from gw_sqla.statements.quoting import quoted
from tests.schema.contract import WEIRD
from tests.statements.pool import open_pool

pytestmark = pytest.mark.anyio

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)


async def test_every_statement_of_a_worker(engine: AsyncEngine, db: asyncpg.Connection) -> None:
    await migrate(engine, schema=WEIRD)
    s = quoted(WEIRD)
    async with open_pool(engine, "pool-1", WEIRD) as pool:
        await pool.connection.execute(job_queries.register_tasks(WEIRD), {"identifiers": ["a", "b"]})
        await pool.commit()
        await db.execute(f"select {s}.add_job('a', queue_name := 'q' || n) from generate_series(1, 4) n")
        claimed = sorted(job.id for job in await pool.claim(forbidden=["x"]))
        assert len(claimed) == 4
        assert await pool.complete(claimed[0]) == {claimed[0]}
        assert await pool.fail(claimed[1]) == {claimed[1]}
        assert await pool.give_back(claimed[2]) == {claimed[2]}
        assert await pool.release() == {claimed[3]}
        await pool.commit()
        assert sorted(job.id for job in await pool.claim()) == claimed[2:]
    known = KnownCrontabs(engine, WEIRD)
    assert await known.make_known(["x"], NOON) == {}
    assert await known.schedule(NOON, [CronItem("a", "* * * * *", id="x")], backfilled=False) == ["x"]
    assert [entry.last_execution for entry in await known.all()] == [NOON]
    await known.disconnect()
    assert await db.fetchval("select count(*) from graphile_worker._private_jobs") == 0
