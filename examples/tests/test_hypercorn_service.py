"""hypercorn_service.py: FastAPI's endpoints and jobs in the transaction of the test, on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from examples.hypercorn_service import Base, Member, new_session, sign_up, welcome
from examples.hypercorn_service import tasks as tasks_of_service
from examples.tests.conftest import Sessions
from gw_sqla import AsyncSession, TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_service


@pytest.fixture
async def client(session: AsyncSession, sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    await session.run_sync(lambda sync: Base.metadata.create_all(sync.connection()))
    await session.commit()

    async def session_of_request() -> AsyncIterator[AsyncSession]:
        async with sessions() as own:
            yield own

    app = FastAPI()
    app.post("/members", status_code=201)(sign_up)
    app.dependency_overrides[new_session] = session_of_request
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_member_is_welcomed(client: httpx.AsyncClient, session: AsyncSession, jobs: JobTester) -> None:
    member_id = (await client.post("/members", json={"address": "ada@example.com"})).json()["id"]
    await jobs.assert_added(welcome, {"member_id": member_id}, count=1)
    await jobs.run_jobs()
    assert (await session.get_one(Member, member_id)).welcomed


async def test_no_address(client: httpx.AsyncClient, jobs: JobTester) -> None:
    assert (await client.post("/members", json={"address": "nonsense"})).status_code == 422
    await jobs.refute_added(welcome)
