"""alembic_*: the migrations of an application make its tables, the queue and a trigger, which adds the jobs.

``gw_sqla_database`` has the queue already; here the application's own migrations make it, in an empty database.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla import AsyncSession, TaskRegistry, call_asyncio, database_loop
from gw_sqla.testing import JobTester
from gw_sqla.testing.postgres import migrated_database

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[1]

processed: list[int] = []


class Order(BaseModel):
    order_id: int


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("process_order")
    async def process_order(payload: Order) -> None:
        processed.append(payload.order_id)

    return tasks


@pytest.fixture(scope="module", params=["separate", "linear", "branch"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database to which the example's migrations were applied, as its env.py says."""
    folder = tmp_path_factory.mktemp("example") / "alembic"
    shutil.copytree(EXAMPLES / f"alembic_{request.param}", folder)
    commands = [["alembic", "upgrade", "heads"]]
    match request.param:
        case "separate":
            commands.insert(0, ["gw_sqla", "migrate"])
        case "linear":  # writes a revision, if this gw_sqla is newer than the example's history
            commands.insert(0, ["gw_sqla", "revision"])
    with migrated_database(schema=None) as database:
        url = database.render_as_string(hide_password=False)
        for command in commands:
            environment = os.environ | {"DATABASE_URL": url}
            subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=True)
        yield url


@pytest.fixture
async def engine(database: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    async with database_loop():
        engine = create_async_engine(database)
        yield engine
        await call_asyncio(engine.dispose)


async def test_an_inserted_order_becomes_a_job(session: AsyncSession, jobs: JobTester) -> None:
    insert = text("insert into orders (item) values ('tea'), ('nothing') returning id")
    tea, _ = await session.scalars(insert)
    await jobs.assert_added("process_order", {"order_id": tea}, count=1, queue_name="orders of tea")
    processed.clear()
    await jobs.run_jobs()
    assert processed == [tea]
