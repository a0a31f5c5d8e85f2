"""The claimer is woken by what can have made a job claimable, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import anyio
import pytest

from gw_sqla import ClaimedJob, Completed
from gw_sqla.worker.claim_demand import Demand

pytestmark = pytest.mark.anyio


def done(queue_name: str | None) -> Completed:
    queue_id = None if queue_name is None else 7
    return Completed(ClaimedJob(1, "a", "{}", queue_name, 0, datetime.now(UTC), 1, 25, None, None, 0, queue_id))


async def wakes(demand: Demand, event: Callable[[], object]) -> bool:
    """Tell whether the event ends a wait."""
    woken = False

    async def wait() -> None:
        nonlocal woken
        await demand.wait()
        woken = True

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        event()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    return woken


@pytest.mark.parametrize("may_have_more", [True, False])
async def test_what_wakes(may_have_more: bool) -> None:
    demand = Demand()

    def reset() -> None:
        demand.may_have_more = may_have_more

    reset()
    assert await wakes(demand, demand.jobs_may_be_due)
    reset()
    assert await wakes(demand, demand.slot_freed) is may_have_more
    reset()
    assert await wakes(demand, lambda: demand.outcomes_written([done(None)])) is may_have_more
    reset()
    assert await wakes(demand, lambda: demand.outcomes_written([done(None), done("queue")]))
