"""Sessions in which a job cannot be added: an error that says what to do, and a transaction left as it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from gw_sqla import (
    AccessError,
    AsyncSession,
    InvalidJobError,
    InvalidPayloadError,
    JobKeyMode,
    JobRepository,
    SchemaMissingError,
    SessionError,
    SyncJobRepository,
)
from tests.repository.look import Look
from tests.unit_of_work.application import Order, process_order, tick
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio

sync = SyncJobRepository()
"""For the methods that ask at once: run_sync gives a Session, in every kind."""


async def test_an_aborted_transaction(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        with pytest.raises(DBAPIError):
            session.execute(text("select 1/0"))
        handle = repo.add_job_on_commit(session, "a")
        for method in (
            lambda: sync.add_job(session, "a"),
            lambda: sync.list_jobs(session),
            session.commit,
            session.commit,
        ):
            with pytest.raises(SessionError, match="roll the session back"):
                method()
            assert session.in_transaction(), "its end is the caller's"
        session.rollback()
        assert not handle.is_added
        sync.add_job(session, "b")
        session.commit()

    await run(body)
    assert [row["task_identifier"] for row in await look.rows("select * from {s}.jobs")] == ["b"]


async def test_a_read_only_transaction(run: Run, repo: JobRepository) -> None:
    def body(session: Session) -> None:
        session.execute(text("set transaction read only"))
        assert sync.list_jobs(session) == []
        repo.add_job_on_commit(session, "a")
        with pytest.raises(SessionError, match="read only"):
            session.commit()
        session.rollback()
        session.execute(text("set transaction read only"))
        with pytest.raises(SessionError, match="read only"):
            sync.add_job(session, "a")

    await run(body)


async def test_a_failed_flush(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        handle = repo.add_job_on_commit(session, "a")
        session.add_all([Order(item="tea"), Order(item="tea")])
        with pytest.raises(IntegrityError):
            session.flush()
        with pytest.raises(SessionError, match="rolled back"):
            sync.add_job(session, "a")
        with pytest.raises(SessionError, match=r"after an error with rollback\(\)"):
            repo.add_job_on_commit(session, "a")
        session.rollback()
        session.commit()
        assert not handle.is_added

    await run(body)
    assert await look.jobs() == {}


async def test_a_closed_session(run: Run, repo: JobRepository) -> None:
    def body(session: Session) -> None:
        session.close()
        with pytest.raises(SessionError, match="permanently closed"):
            repo.add_job_on_commit(session, "a")
        with pytest.raises(SessionError, match="permanently closed"):
            sync.add_job(session, "a")

    await run(body, close_resets_only=False)


async def test_a_session_that_does_not_begin_by_itself(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        with pytest.raises(SessionError, match=r"session\.begin\(\)"):
            repo.add_job_on_commit(session, "a")
        with pytest.raises(SessionError, match=r"session\.begin\(\)"):
            sync.add_job(session, "a")
        with session.begin():
            repo.add_job_on_commit(session, "a")
            sync.add_job(session, "a")

    await run(body, autobegin=False)
    assert len(await look.jobs()) == 2


async def test_a_database_without_the_schema(run: Run, look: Look) -> None:
    def body(session: Session) -> None:
        elsewhere = SyncJobRepository("elsewhere")
        methods: list[Any] = [elsewhere.add_job, elsewhere.remove_job]
        for method in methods:
            with pytest.raises(SchemaMissingError, match=r"'elsewhere' as gw_sqla needs it.*migrate") as raised:
                method(session, "a")
            assert raised.value.schema == "elsewhere"
            session.rollback()

    await run(body)
    assert await look.value("select count(*) from pg_namespace where nspname = 'elsewhere'") == 0


async def test_a_role_without_rights(run: Run, look: Look) -> None:
    await look.execute("drop role if exists gw_sqla_nobody")
    await look.execute("create role gw_sqla_nobody")

    def body(session: Session) -> None:
        session.execute(text("set local role gw_sqla_nobody"))
        with pytest.raises(AccessError, match=r"'graphile_worker'.*grant"):
            sync.add_job(session, "a")

    await run(body)
    await look.execute("drop role gw_sqla_nobody")


async def test_a_session_that_commits_in_two_phases(run: Run, repo: JobRepository) -> None:
    def body(session: Session) -> None:
        with pytest.raises(SessionError, match="two phases"):
            repo.add_job_on_commit(session, "a")

    await run(body, twophase=True)


async def test_engines_of_other_kinds(run: Run, repo: JobRepository) -> None:
    sqlite = create_engine("sqlite://")
    with Session(sqlite) as session, pytest.raises(SessionError, match=r"of sqlite.*PostgreSQL"):
        sync.add_job(session, "a")
    sqlite.dispose()
    with Session() as session, pytest.raises(SessionError, match="bind"):
        sync.add_job(session, "a")


async def test_a_session_of_several_engines(any_engine: Engine | AsyncEngine, repo: JobRepository, look: Look) -> None:
    from gw_sqla.models import WorkerBase

    if isinstance(any_engine, Engine):
        sqlite = create_engine("sqlite://")
        with Session(binds={WorkerBase: any_engine, Order: sqlite}) as session:
            repo.add_job_on_commit(session, "a")
            sync.add_job(session, "a")
            session.commit()
        sqlite.dispose()
    else:
        other = create_async_engine("postgresql+asyncpg://nowhere")
        async with AsyncSession(binds={WorkerBase: any_engine, Order: other}) as several:
            repo.add_job_on_commit(several, "a")
            await several.run_sync(lambda session: sync.add_job(session, "a"))
            await several.commit()
    assert len(await look.jobs()) == 2


async def test_bad_arguments_are_told_at_once(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        bad: Any = repo.add_job_on_commit
        with pytest.raises(InvalidJobError, match=r"^queue_name"):
            bad(session, "a", queue_name="")
        with pytest.raises(InvalidJobError, match=r"^priority"):
            bad(session, "a", lambda: 1, priority="high")
        with pytest.raises(InvalidJobError, match=r"^job_key_mode: has no effect"):
            bad(session, "a", job_key_mode=JobKeyMode.REPLACE)
        with pytest.raises(InvalidPayloadError, match="order_id"):
            bad(session, process_order, {})
        with pytest.raises(InvalidPayloadError, match="takes none"):
            bad(session, tick, 1)
        with pytest.raises(InvalidPayloadError, match="not JSON"):
            bad(session, "a", {"x": object()})
        with pytest.raises(InvalidJobError, match=r"^session: must be a Session or AsyncSession, not a int"):
            bad(5, "a")
        assert not session.in_transaction()
        bad(session, process_order, lambda: {"order_id": "x"})
        with pytest.raises(InvalidPayloadError, match="order_id"):
            session.commit()

    await run(body)
    assert await look.jobs() == {}


async def test_payload_functions_without_end(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        def again() -> None:
            repo.add_job_on_commit(session, "a", again)

        again()
        with pytest.raises(SessionError, match="100 rounds"):
            session.commit()

    await run(body)
    assert await look.jobs() == {}


async def test_after_the_commit(run: Run, repo: JobRepository) -> None:
    from sqlalchemy import event

    def body(session: Session) -> None:
        def committed(session: Session) -> None:
            with pytest.raises(SessionError, match="takes no more jobs"):
                repo.add_job_on_commit(session, "a")
            told.append(True)

        told: list[bool] = []
        event.listen(session, "after_commit", committed)
        repo.add_job_on_commit(session, "a")
        session.commit()
        assert told == [True]

    await run(body)
