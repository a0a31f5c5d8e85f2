"""add_jobs of more jobs than one round trip takes: bounded, all or nothing, with a report of progress."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, InvalidJobError, JobRepository, JobSpec, async_sessionmaker
from gw_sqla.calls import round_trips
from gw_sqla.types import DEFAULT_SCHEMA
from tests.repository.look import Look
from tests.repository.test_add_jobs import statements

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def schema() -> str:
    """One is enough."""
    return DEFAULT_SCHEMA


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round trips of ten jobs, which need no fifty thousand to be several."""
    monkeypatch.setattr(round_trips, "MOST_SPECS", 10)


def spec(n: Any, **options: Any) -> JobSpec:
    return JobSpec(task_identifier="a", payload=n, **options)


@pytest.mark.parametrize("return_rows", [True, False])
@pytest.mark.parametrize(("number", "trips"), [(9, [9]), (10, [10]), (11, [10, 11]), (30, [10, 20, 30])])
async def test_round_trips(
    engine: AsyncEngine,
    sessions: Sessions,
    repo: JobRepository,
    look: Look,
    small: None,
    return_rows: bool,
    number: int,
    trips: list[int],
) -> None:
    progress: list[int] = []
    read: list[int] = []

    def stream() -> Iterator[JobSpec]:
        for n in range(number):
            read.append(n)
            yield spec(n, job_key=f"k{n}" if n % 2 else None)

    def report(added: int) -> None:
        progress.append(added)
        assert len(read) <= added + 1, "the iterable is read as it is needed"

    async with sessions.begin() as session:
        with statements(engine) as sent:
            many: Any = repo.add_jobs
            result = await many(session, stream(), on_progress=report, return_rows=return_rows)
    assert progress == trips
    assert len([sql for sql in sent if "add_jobs(" in sql]) == len(trips)
    assert ([job.payload for job in result] == list(range(number))) if return_rows else (result == number)
    assert len(await look.jobs()) == number


async def test_large_payloads_are_fewer(
    engine: AsyncEngine, sessions: Sessions, repo: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_trips, "MOST_TEXT", 1_000_000)
    async with sessions.begin() as session:
        with statements(engine) as sent:
            jobs = await repo.add_jobs(session, (spec("x" * 10_000) for _ in range(450)))
    assert len(jobs) == 450
    assert len([sql for sql in sent if "add_jobs(" in sql]) == 3


async def test_memory_is_bounded(
    sessions: Sessions, repo: JobRepository, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times as many jobs take no more of it."""
    monkeypatch.setattr(round_trips, "MOST_SPECS", 500)

    async def peak(number: int) -> int:
        async with sessions() as session:
            tracemalloc.start()
            await repo.add_jobs(session, (spec("x" * 1000) for _ in range(number)), return_rows=False)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    await peak(1000)
    assert await peak(10_000) < 2 * await peak(1000)


@pytest.mark.parametrize("return_rows", [True, False])
@pytest.mark.parametrize("what", ["iterable", "progress", "key", "payload"])
async def test_all_or_nothing(
    sessions: Sessions, repo: JobRepository, look: Look, small: None, what: str, return_rows: bool
) -> None:
    """A caller who catches the error and commits has what was there before the call, and no more."""

    def stream() -> Iterator[JobSpec]:
        yield from (spec(n) for n in range(25))
        if what == "iterable":
            raise ZeroDivisionError
        yield spec(object() if what == "payload" else 0, job_key="k")
        yield spec(0, job_key="k" if what == "key" else None)

    def report(added: int) -> None:
        if what == "progress" and added > 10:
            raise ZeroDivisionError

    many: Any = repo.add_jobs
    async with sessions.begin() as session:
        await repo.add_job(session, "before")
        with pytest.raises((ZeroDivisionError, InvalidJobError)):
            await many(session, stream(), on_progress=report, return_rows=return_rows)
        await repo.add_job(session, "after")
    assert [row["task_identifier"] for row in await look.rows("select * from {s}.jobs order by id")] == [
        "before",
        "after",
    ]


async def test_an_error_of_another_database(sessions: Sessions, repo: JobRepository, look: Look, small: None) -> None:
    """The iterable may read from anywhere: an error of SQLAlchemy's is not always one of this transaction."""

    def stream() -> Iterator[JobSpec]:
        yield from (spec(n) for n in range(25))
        raise DBAPIError("select", {}, Exception("the other server is gone"))

    async with sessions.begin() as session:
        await repo.add_job(session, "before")
        with pytest.raises(DBAPIError, match="the other server is gone"):
            await repo.add_jobs(session, stream())
    assert len(await look.jobs()) == 1


async def test_what_cannot_be_undone_hides_no_error(
    sessions: Sessions, repo: JobRepository, look: Look, small: None
) -> None:
    async with sessions() as session:

        def report(_added: int) -> None:
            session.sync_session.connection().invalidate()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await repo.add_jobs(session, [spec(n) for n in range(25)], on_progress=report)
        await session.rollback()
    assert await look.jobs() == {}


async def test_a_database_error_aborts_the_transaction(
    sessions: Sessions, repo: JobRepository, look: Look, small: None
) -> None:
    await look.execute("alter table {s}._private_jobs add constraint no_b check (payload::text <> '\"b\"')")
    try:
        async with sessions() as session:
            with pytest.raises(DBAPIError, match="no_b"):
                await repo.add_jobs(session, [*(spec(n) for n in range(15)), spec("b")])
            await session.commit()
    finally:
        await look.execute("alter table {s}._private_jobs drop constraint no_b")
    assert await look.jobs() == {}


@pytest.mark.parametrize("bad", [None, "abc", 5, JobSpec(task_identifier="a")])
async def test_what_is_no_list_of_specs(sessions: Sessions, repo: JobRepository, bad: Any) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match=r"^specs: must be a list or another iterable of JobSpec"):
            await repo.add_jobs(session, bad)
        assert not session.in_transaction()
