"""trio_service.py: sign-ups and jobs in the transaction of the test, on trio."""

from __future__ import annotations

import pytest

from examples.tests.conftest import Sessions
from examples.trio_service import Base, Member, Welcome, sign_up, welcome
from examples.trio_service import tasks as tasks_of_service
from gw_sqla import AsyncSession, TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_service


@pytest.fixture(autouse=True)
async def tables(session: AsyncSession) -> None:
    await session.run_sync(lambda sync: Base.metadata.create_all(sync.connection()))
    await session.commit()


async def test_a_member_is_welcomed(session: AsyncSession, sessions: Sessions, jobs: JobTester) -> None:
    assert await sign_up(sessions, "ada@example.com") == "signed up"
    assert await sign_up(sessions, "ada@example.com") == "signed up already"
    await jobs.assert_added(welcome, Welcome(address="ada@example.com"), count=1, queue_name="mail")
    await jobs.run_jobs()
    assert (await session.get_one(Member, "ada@example.com")).welcomed


async def test_no_address(sessions: Sessions, jobs: JobTester) -> None:
    assert await sign_up(sessions, "nonsense") == "not an address"
    await jobs.refute_added(welcome)
