"""Reading and joining through the models, under AsyncSession and under a synchronous Session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from gw_sqla import AsyncSession, JobRepository, async_sessionmaker
from gw_sqla.models import Job, JobQueue, JobView, KnownCrontab, Task, schema_option
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def filled(sessions: async_sessionmaker[AsyncSession], repo: JobRepository, look: Look) -> None:
    async with sessions.begin() as session:
        await repo.add_job(session, "a", {"n": 1}, queue_name="q", flags=["x"], job_key="k", run_at=NOON)
        await repo.add_job(session, "a", [2])
        await repo.add_job(session, "b", "three", queue_name="q")
    await look.execute("delete from {s}._private_known_crontabs")
    await look.execute("insert into {s}._private_known_crontabs (identifier, known_since) values ('c', $1)", NOON)


@pytest.fixture
async def session(engine: AsyncEngine, filled: None, schema: str) -> AsyncIterator[AsyncSession]:
    """A session on an engine that reads the models from the schema under test."""
    maker = async_sessionmaker(engine.execution_options(**schema_option(schema)))
    async with maker() as opened:
        yield opened


async def test_join(session: AsyncSession) -> None:
    query = select(Job).join(Job.task).where(Task.identifier == "a").order_by(Job.id)
    jobs = (await session.scalars(query)).all()
    assert [job.payload for job in jobs] == [{"n": 1}, [2]]
    first = jobs[0]
    assert (first.key, first.flags, first.run_at, first.priority) == ("k", {"x": True}, NOON, 0)
    assert (first.attempts, first.max_attempts, first.is_available, first.locked_by) == (0, 25, True, None)


async def test_outer_join_and_count(session: AsyncSession) -> None:
    query = (
        select(JobQueue.queue_name, func.count())
        .select_from(Job)
        .outerjoin(Job.queue)
        .group_by(JobQueue.queue_name)
        .order_by(JobQueue.queue_name.nulls_last())
    )
    assert [tuple(row) for row in await session.execute(query)] == [("q", 2), (None, 1)]


@pytest.mark.parametrize("load", [joinedload, selectinload])
async def test_from_a_job(session: AsyncSession, load: Any) -> None:
    query = select(Job).options(load(Job.task), load(Job.queue)).order_by(Job.id)
    jobs = (await session.scalars(query)).all()
    assert [(job.task.identifier, job.queue and job.queue.queue_name) for job in jobs] == [
        ("a", "q"),
        ("a", None),
        ("b", "q"),
    ]


@pytest.mark.parametrize("load", [joinedload, selectinload])
async def test_from_tasks_and_queues(session: AsyncSession, load: Any) -> None:
    tasks = (await session.scalars(select(Task).options(load(Task.jobs)).order_by(Task.identifier))).unique().all()
    assert [(task.identifier, len(task.jobs)) for task in tasks] == [("a", 2), ("b", 1)]
    [queue] = (await session.scalars(select(JobQueue).options(load(JobQueue.jobs)))).unique().all()
    assert (queue.queue_name, queue.is_available, len(queue.jobs)) == ("q", True, 2)
    assert {job.task_id for job in queue.jobs} == {task.id for task in tasks}


async def test_contains_eager_and_exists(session: AsyncSession) -> None:
    query = select(Job).join(Job.queue).options(contains_eager(Job.queue)).order_by(Job.id)
    assert [job.queue and job.queue.queue_name for job in await session.scalars(query)] == ["q", "q"]
    with_flags = select(Task.identifier).where(exists().where(Job.task_id == Task.id, Job.flags.has_key("x")))
    assert (await session.scalars(with_flags)).all() == ["a"]


async def test_view_and_crontabs(session: AsyncSession) -> None:
    views = (await session.scalars(select(JobView).order_by(JobView.id))).all()
    assert [(view.task_identifier, view.queue_name) for view in views] == [("a", "q"), ("a", None), ("b", "q")]
    assert (views[0].key, views[0].flags, views[0].run_at) == ("k", {"x": True}, NOON)
    [crontab] = (await session.scalars(select(KnownCrontab))).all()
    assert (crontab.identifier, crontab.known_since, crontab.last_execution) == ("c", NOON, None)


async def test_synchronous_session(session: AsyncSession) -> None:
    """A Session loads relationships on access; run_sync is how one runs on an async engine."""

    def read(sync: Session) -> list[tuple[str, str | None, int]]:
        query = select(Job).join(Job.task).where(Task.identifier == "a").order_by(Job.id)
        return [
            (job.task.identifier, job.queue.queue_name if job.queue else None, len(job.task.jobs))
            for job in sync.scalars(query)
        ]

    assert await session.run_sync(read) == [("a", "q", 2), ("a", None, 2)]


async def test_schema_of_one_statement(sessions: async_sessionmaker[AsyncSession], filled: None, schema: str) -> None:
    query: Select[Any] = select(Job.id).join(Job.task).where(Task.identifier == "b")
    async with sessions() as session:
        assert len((await session.scalars(query, execution_options=schema_option(schema))).all()) == 1
        assert len((await session.scalars(query.execution_options(**schema_option(schema)))).all()) == 1


async def test_get_and_refresh(session: AsyncSession, look: Look) -> None:
    job_id = await look.value("select min(id) from {s}._private_jobs")
    job = await session.get(Job, job_id)
    assert job is not None
    await session.commit()
    await look.lock(job_id)
    await session.refresh(job)
    assert (job.locked_by, job.is_available, job.attempts) == ("pool-1", False, 1)


async def test_relationships_are_for_reading(session: AsyncSession, look: Look) -> None:
    job = (await session.scalars(select(Job).options(joinedload(Job.task)).where(Job.key == "k"))).one()
    before = job.task_id
    job.task = (await session.scalars(select(Task).where(Task.identifier == "b"))).one()
    await session.commit()
    assert await look.value("select task_id from {s}._private_jobs where key = 'k'") == before
