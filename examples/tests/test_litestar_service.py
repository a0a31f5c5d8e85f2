"""litestar_service.py: requests and jobs in the transaction of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncSession

from examples.litestar_service import Order, confirm_order, place_order, show_order
from examples.litestar_service import tasks as tasks_of_service
from examples.tests.conftest import Sessions
from gw_sqla import TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Litestar runs on asyncio."""
    return "asyncio"


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_service


@pytest.fixture
async def client(session: AsyncSession, sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    """The service's endpoints with a session of the test's, in place of advanced-alchemy's."""
    await session.run_sync(lambda sync: Order.metadata.create_all(sync.connection()))
    await session.commit()

    async def db_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as own:
            yield own

    app = Litestar([place_order, show_order], dependencies={"db_session": Provide(db_session)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:  # type: ignore[arg-type]
        yield client


async def test_an_order_is_confirmed(client: httpx.AsyncClient, jobs: JobTester) -> None:
    answer = await client.post("/orders", json={"item": "tea", "quantity": 2})
    order_id = answer.json()["id"]
    await jobs.assert_added(confirm_order, {"order_id": order_id}, count=1)
    await jobs.run_jobs()
    assert (await client.get(f"/orders/{order_id}")).json() == {"state": "confirmed"}


async def test_a_refused_order_leaves_no_job(client: httpx.AsyncClient, jobs: JobTester) -> None:
    answer = await client.post("/orders", json={"item": "tea", "quantity": 99})
    assert answer.status_code == 409
    await jobs.refute_added(confirm_order)
