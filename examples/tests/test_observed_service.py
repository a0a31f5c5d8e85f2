"""observed_service.py: what its tasks do, inside its interceptors."""

from __future__ import annotations

import logging

import pytest

from examples.observed_service import Order, charge, interceptors, receipt, repository
from examples.observed_service import tasks as tasks_of_example
from gw_sqla import AsyncSession, InvalidJobError, TaskRegistry
from gw_sqla.testing import JobTester

pytestmark = pytest.mark.anyio


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_example


async def test_a_receipt_knows_its_tenant(
    session: AsyncSession, tasks: TaskRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with JobTester(session, tasks, interceptors=interceptors) as jobs:
        await jobs.run(charge, Order(tenant="acme", cents=1250))
        [added] = await jobs.assert_added(receipt, {"tenant": "acme", "cents": 1250})
        assert "_trace" in added.payload, "from the span of the job that has added it"
        await jobs.run(receipt, added.payload)
    assert "a receipt over 1250 cents for a customer of acme" in caplog.text


async def test_a_job_of_nobodys_is_refused(session: AsyncSession) -> None:
    with pytest.raises(InvalidJobError, match="payload: has no tenant"):
        await repository.add_job(session, receipt, Order(tenant="", cents=1))
