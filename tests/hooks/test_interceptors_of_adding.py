"""Interceptors of what is added: by both repositories, with the unit of work, by ModelJobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    Interceptor,
    InvalidJobError,
    JobKeyMode,
    JobRepository,
    JobSpec,
    ModelJobs,
    SyncJobRepository,
    TaskRegistry,
    async_sessionmaker,
)

Sessions = async_sessionmaker[AsyncSession]


class Prefix(Interceptor):
    """Puts a word before a payload, and another queue around it."""

    def __init__(self, word: str) -> None:
        self._word = word

    def add_job(self, spec: JobSpec) -> JobSpec:
        if spec.payload == "refused":
            raise InvalidJobError("payload", "is refused")
        return replace(spec, payload=f"{self._word} {spec.payload}", queue_name="intercepted")


class Wrong(Interceptor):
    """Returns what is no spec."""

    def add_job(self, spec: JobSpec) -> Any:
        return spec.payload


repo = JobRepository(interceptors=[Prefix("a"), Prefix("b")])


@pytest.fixture
def sync_session(clean_database: str) -> Iterator[Session]:
    """A session of a sync engine on the module's database."""
    engine = create_engine(make_url(clean_database).set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        yield session
    engine.dispose()


async def payloads(session: AsyncSession) -> list[Any]:
    """What is in the table, in the order of the ids."""
    jobs = await JobRepository().list_jobs(session)
    assert {job.queue_name for job in jobs} <= {"intercepted"}, "the queue too"
    return [job.payload for job in jobs]


@pytest.mark.anyio
async def test_one_job(sessions: Sessions) -> None:
    async with sessions() as session:
        await repo.add_job(session, "note", "x")
        assert await payloads(session) == ["b a x"]


@pytest.mark.anyio
@pytest.mark.parametrize("return_rows", [True, False])
async def test_many_jobs(sessions: Sessions, return_rows: bool) -> None:
    specs = (JobSpec(task_identifier="note", payload=number) for number in range(450))
    async with sessions() as session:
        if return_rows:
            await repo.add_jobs(session, specs)
        else:
            await repo.add_jobs(session, specs, return_rows=False)
        assert (await payloads(session))[:2] == ["b a 0", "b a 1"]
        assert sum((await JobRepository().count_jobs_by_state(session)).values()) == 450


@pytest.mark.anyio
async def test_many_jobs_one_of_which_is_refused(sessions: Sessions) -> None:
    specs = [JobSpec(task_identifier="note", payload=payload) for payload in ("x", "refused")]
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match="is refused"):
            await repo.add_jobs(session, specs)
        assert await payloads(session) == []
        with pytest.raises(InvalidJobError, match=r"specs\[1\] is a str"):
            await repo.add_jobs(session, [specs[0], "note"])  # type: ignore[list-item]


@pytest.mark.anyio
async def test_on_commit(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        repo.add_job_on_commit(session, "note", "x")
        repo.add_job_on_commit(session, "note", lambda: "later")
        with pytest.raises(InvalidJobError, match="is refused"):
            repo.add_job_on_commit(session, "note", "refused")
    async with sessions() as session:
        assert sorted(await payloads(session)) == ["b a later", "b a x"]


@pytest.mark.anyio
async def test_a_refusal_at_the_commit_fails_it(sessions: Sessions) -> None:
    async with sessions() as session:
        repo.add_job_on_commit(session, "note", lambda: "refused")
        with pytest.raises(InvalidJobError, match="is refused"):
            await session.commit()
        await session.rollback()
        assert await payloads(session) == []


class Base(DeclarativeBase):
    """The models of this module."""


class Order(Base):
    """What adds jobs."""

    __tablename__ = "orders_of_hooks"

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.mark.anyio
async def test_model_jobs(engine: AsyncEngine, sessions: Sessions) -> None:
    rules = ModelJobs(repo)
    rules.on_insert(Order, "note", lambda order: order.id)
    try:
        async with sessions.begin() as session:
            await session.run_sync(lambda plain: Base.metadata.create_all(plain.connection()))
            session.add(Order(id=7))
        async with sessions.begin() as session:
            assert await payloads(session) == ["b a 7"]
            await session.run_sync(lambda plain: Base.metadata.drop_all(plain.connection()))
    finally:
        rules.remove()


def test_sync_sessions(sync_session: Session) -> None:
    jobs = SyncJobRepository(interceptors=[Prefix("a")])
    jobs.add_job(sync_session, "note", "x")
    jobs.add_jobs(sync_session, [JobSpec(task_identifier="note", payload="y")])
    jobs.add_job_on_commit(sync_session, "note", "z")
    sync_session.commit()
    assert [job.payload for job in jobs.list_jobs(sync_session)] == ["a x", "a y", "a z"]


@pytest.mark.anyio
async def test_what_it_returns_is_checked(sessions: Sessions) -> None:
    wrong = JobRepository(interceptors=[Wrong()])
    async with sessions() as session:
        with pytest.raises(ConfigurationError, match=r"Wrong\.add_job returned a int, no JobSpec"):
            await wrong.add_job(session, "note", 5)
        with pytest.raises(ConfigurationError, match="returned a int"):
            await wrong.add_jobs(session, [JobSpec(task_identifier="note", payload=5)])
        with pytest.raises(ConfigurationError, match="returned a int"):
            wrong.add_job_on_commit(session, "note", 5)


@pytest.mark.anyio
async def test_a_key_that_it_takes_away(sessions: Sessions) -> None:
    class NoKey(Interceptor):
        def add_job(self, spec: JobSpec) -> JobSpec:
            return replace(spec, job_key=None)

    keyless = JobRepository(interceptors=[NoKey()])
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match="job_key_mode"):
            await keyless.add_job(session, "note", job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)
        with pytest.raises(InvalidJobError, match="job_key_mode"):
            keyless.add_job_on_commit(session, "note", job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)


@pytest.mark.anyio
async def test_it_sees_the_plain_payload_of_a_declared_task(sessions: Sessions, tasks: TaskRegistry) -> None:
    seen: list[Any] = []

    class Look(Interceptor):
        def add_job(self, spec: JobSpec) -> JobSpec:
            seen.append((spec.task_identifier, spec.payload, spec.priority))
            return spec

    @tasks.task("sum", batch=True, priority=3)
    async def add(payload: list[int]) -> None: ...

    async with sessions() as session:
        await JobRepository(interceptors=[Look()]).add_job(session, add, [1, 2])
    assert seen == [("sum", [1, 2], 3)]
