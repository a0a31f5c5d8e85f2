"""fastapi_service.py: requests and jobs in the transaction of the test, on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from examples.fastapi_service import Base, Order, confirm_order, new_session, place_order, show_order
from examples.fastapi_service import tasks as tasks_of_service
from examples.tests.conftest import Sessions
from gw_sqla import AsyncSession, TaskRegistry
from gw_sqla.testing import JobTester, within

pytestmark = pytest.mark.anyio


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_service


@pytest.fixture
async def client(session: AsyncSession, sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    """The service's endpoints, without its lifespan: no worker runs."""
    await session.run_sync(lambda sync: Base.metadata.create_all(sync.connection()))
    await session.commit()

    async def session_of_request() -> AsyncIterator[AsyncSession]:
        async with sessions() as own:
            yield own

    app = FastAPI()
    app.post("/orders", status_code=201)(place_order)
    app.get("/orders/{order_id}")(show_order)
    app.dependency_overrides[new_session] = session_of_request
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_an_order_is_confirmed(client: httpx.AsyncClient, jobs: JobTester) -> None:
    answer = await client.post("/orders", json={"item": "tea", "quantity": 2})
    order_id = answer.json()["id"]
    await jobs.assert_added(confirm_order, {"order_id": order_id}, count=1, run_at=within("1m"))
    assert (await client.get(f"/orders/{order_id}")).json() == {"state": "received"}

    await jobs.run_jobs()
    assert (await client.get(f"/orders/{order_id}")).json() == {"state": "confirmed"}


async def test_a_refused_order_leaves_no_job(client: httpx.AsyncClient, jobs: JobTester) -> None:
    answer = await client.post("/orders", json={"item": "tea", "quantity": 99})
    assert answer.status_code == 409
    await jobs.refute_added(confirm_order)


async def test_the_handler_alone(client: httpx.AsyncClient, session: AsyncSession, jobs: JobTester) -> None:
    order = Order(item="tea", quantity=1)
    session.add(order)
    await session.commit()
    await jobs.run(confirm_order, {"order_id": order.id}, attempt=2)
    await session.refresh(order)
    assert order.state == "confirmed"
