"""A model of the application points to a job, without a foreign key, and is loaded with it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session, joinedload, selectinload

from gw_sqla import SyncJobRepository
from gw_sqla.models import Job
from tests.unit_of_work.application import Base, Order
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio

sync = SyncJobRepository()


@pytest.mark.parametrize("option", [joinedload, selectinload])
async def test_loaded_with_its_job(run: Run, any_engine: Engine | AsyncEngine, option: Any) -> None:
    def body(session: Session) -> None:
        job = sync.add_job(session, "a", {"n": 1}, queue_name="q")
        session.add_all([Order(item="tea", job_id=job.id), Order(item="coffee"), Order(item="gone", job_id=10**12)])
        session.commit()
        query = select(Order).options(option(Order.job).joinedload(Job.task)).order_by(Order.id)
        tea, coffee, gone = session.scalars(query).unique()
        assert tea.job is not None
        assert tea.job.id == job.id
        assert (tea.job.payload, tea.job.task.identifier) == ({"n": 1}, "a")
        assert (coffee.job, gone.job) == (None, None)
        found = session.scalars(select(Order).join(Order.job).where(Job.is_available)).all()
        assert found == [tea]
        sync.complete_jobs(session, [job.id])
        session.commit()
        assert session.scalars(query.where(Order.id == tea.id)).one().job is None

    await run(body)


def test_the_applications_metadata_has_no_trace_of_it() -> None:
    assert set(Base.metadata.tables) == {"customers", "orders"}
    assert not Base.metadata.tables["orders"].c.job_id.foreign_keys


@pytest.fixture
def anyio_backend(kind: str) -> str:
    return "trio" if kind.startswith("trio") else "asyncio"
