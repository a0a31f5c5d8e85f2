"""What the test kit costs: a suite of 200 tests with two jobs each, with it and without, and one job by itself.

Each test has an engine of its own and asks a FastAPI service for two orders. With the kit it asserts the jobs and runs
them; by hand, it writes what their handlers would; without, it looks at the orders alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.contenders import HERE
from benchmarks.database import Database
from benchmarks.throughput import Aim, report
from gw_sqla import JobRepository, TaskRegistry, parse_url
from gw_sqla.testing import JobTester, rolled_back_session

__all__ = ["testing_kit"]

TESTS = 200

CONFTEST = """
import os

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

from examples.fastapi_service import Base, new_session, place_order, show_order
from gw_sqla import async_sessionmaker, parse_url
from gw_sqla.testing import rolled_back_session


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def session():
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    async with rolled_back_session(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
async def client(session):
    await session.run_sync(lambda sync: Base.metadata.create_all(sync.connection()))
    await session.commit()
    sessions = async_sessionmaker(session.bind, expire_on_commit=False, join_transaction_mode="create_savepoint")

    async def session_of_request():
        async with sessions() as own:
            yield own

    app = FastAPI()
    app.post("/orders", status_code=201)(place_order)
    app.get("/orders/{order_id}")(show_order)
    app.dependency_overrides[new_session] = session_of_request
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
"""

SUITE = """
import pytest

from examples.fastapi_service import Order

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", range({tests}))
async def test_orders({fixtures}, number):
    orders = [(await client.post("/orders", json={{"item": "tea", "quantity": 2}})).json()["id"] for _ in range(2)]
    {work}
    for order_id in orders:
        assert (await client.get(f"/orders/{{order_id}}")).json() == {{"state": "{state}"}}
"""

WITH = 'await jobs.assert_added("confirm_order", count=2)\n    await jobs.run_jobs()'
BY_HAND = """for order_id in orders:
        (await session.get_one(Order, order_id)).state = "confirmed"
        await session.commit()"""


def testing_kit(database: Database, runs: int) -> dict[str, Any]:
    """Seconds of the suite with the kit and without, in turns, and milliseconds of a test with one job."""
    seconds: dict[str, list[float]] = {"with": [], "by hand": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        suites = {name: _suite(Path(folder, name), name) for name in seconds}
        for _ in range(runs):
            for name, suite in suites.items():
                began = time.perf_counter()
                subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "pytest",
                        "-q",
                        "-p",
                        "no:cacheprovider",
                        "-p",
                        "no:asyncio",
                        "-p",
                        "no:trio",
                        suite,
                    ],
                    env=database.environment | {"PYTHONPATH": str(HERE.parent)},
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                seconds[name].append(time.perf_counter() - began)
    os.environ["DATABASE_URL"] = database.environment["DATABASE_URL"]
    return report(
        {
            "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
            "added to tests without jobs": f"{_added(seconds, 'without'):.1%}",
        },
        Aim("added to tests that write it by hand", _added(seconds, "by hand"), at_most=0.15),
        Aim("milliseconds of a test with one job", median(anyio.run(_one_job, 50)), at_most=20),
    )


def _added(seconds: dict[str, list[float]], other: str) -> float:
    return median(kit / plain - 1 for kit, plain in zip(seconds["with"], seconds[other], strict=True))


def _suite(folder: Path, name: str) -> str:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ngw_sqla_tasks = examples.fastapi_service:tasks\n")
    (folder / "conftest.py").write_text(CONFTEST)
    fixtures = "client, jobs" if name == "with" else "client, session"
    work = {"with": WITH, "by hand": BY_HAND, "without": "pass"}[name]
    state = "received" if name == "without" else "confirmed"
    (folder / "test_orders.py").write_text(SUITE.format(tests=TESTS, fixtures=fixtures, work=work, state=state))
    return str(folder)


async def _one_job(times: int) -> list[float]:
    """Milliseconds of the kit in a test that has an engine of its own, adds one job, asserts and runs it."""
    tasks = TaskRegistry()

    @tasks.task("nothing")
    async def nothing() -> None: ...

    taken = []
    for _ in range(times):
        engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
        async with rolled_back_session(engine) as session:
            await JobRepository().add_job(session, nothing)
            await session.commit()
            began = time.perf_counter()
            jobs = JobTester(session, tasks)
            await jobs.assert_added(nothing, count=1)
            await jobs.run_jobs()
            taken.append(1000 * (time.perf_counter() - began))
        await engine.dispose()
    return taken
