"""examples/litestar_service.py: in process, with its lifespan, and as a user runs it."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from examples.litestar_service import create_app
from tests.examples.support import program, read_until, rows
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn runs asyncio."""
    return "asyncio"


@asynccontextmanager
async def service(url: str, recorder: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    """The service between its startup and its shutdown."""
    engine = create_async_engine(url)
    app = create_app(engine, [recorder])
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:  # type: ignore[arg-type]
        yield client
    await engine.dispose()  # advanced-alchemy did it for the first application of the process only


async def test_an_order_and_its_job_are_committed_together(clean_database: str) -> None:
    recorder = Recorder()
    async with service(clean_database, recorder) as client:
        answer = await client.post("/orders", json={"item": "tea", "quantity": 2})
        assert answer.status_code == 201, answer.text
        order = answer.json()["id"]
        await recorder.until(lambda: recorder.completed)
        assert [job.payload for job in recorder.started] == [{"order_id": order}]
        assert (await client.get(f"/orders/{order}")).json() == {"state": "confirmed"}


async def test_a_refused_order_leaves_no_job(clean_database: str) -> None:
    recorder = Recorder()
    async with service(clean_database, recorder) as client:
        refused = await client.post("/orders", json={"item": "too much tea", "quantity": 99})
        assert (refused.status_code, refused.json()["detail"]) == (409, "only 10 of too much tea are left")
        accepted = await client.post("/orders", json={"item": "tea", "quantity": 2})
        await recorder.until(lambda: recorder.completed)
        # Had the first job been there, it would have been claimed first.
        assert [job.payload for job in recorder.started] == [{"order_id": accepted.json()["id"]}]
    assert await rows(clean_database, "select id from litestar_orders where item = 'too much tea'") == []
    assert await rows(clean_database, "select id from graphile_worker._private_jobs") == []


async def test_as_a_program(clean_database: str) -> None:
    async with program("litestar_service.py", clean_database) as process:
        printed = await read_until(process, "Uvicorn running")
        found = re.search(r"http://[\d.:]+", printed)
        assert found, printed
        async with httpx.AsyncClient(base_url=found.group(), trust_env=False) as client:
            answer = await client.post("/orders", json={"item": "tea", "quantity": 2})
            assert answer.status_code == 201, answer.text
        process.send_signal(signal.SIGTERM)
        assert "Application shutdown complete" in await read_until(process, "Finished server process")
    assert await rows(clean_database, "select id from graphile_worker._private_jobs where locked_at is not null") == []
