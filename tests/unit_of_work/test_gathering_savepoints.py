"""Jobs follow the savepoint that they were added in."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gw_sqla import JobNotAddedError, JobRepository
from tests.repository.look import Look
from tests.unit_of_work.application import Order
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio


async def added(look: Look) -> list[str]:
    rows = await look.rows("select task_identifier from {s}.jobs order by id")
    return [row["task_identifier"] for row in rows]


async def test_release_and_rollback(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        repo.add_job_on_commit(session, "before")
        with session.begin_nested():
            kept = repo.add_job_on_commit(session, "kept")
        assert not kept.is_added, "the savepoint's release is not the commit"
        savepoint = session.begin_nested()
        gone = repo.add_job_on_commit(session, "gone")
        savepoint.rollback()
        with pytest.raises(JobNotAddedError, match="rolled back"):
            gone.job  # noqa: B018 - that is the point
        repo.add_job_on_commit(session, "after")
        session.commit()
        assert kept.is_added
        assert not gone.is_added

    await run(body)
    assert await added(look) == ["before", "kept", "after"]


async def test_savepoints_in_savepoints(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        with session.begin():
            with session.begin_nested():
                with session.begin_nested():
                    repo.add_job_on_commit(session, "2 released in 1 released")
                inner = session.begin_nested()
                repo.add_job_on_commit(session, "2 rolled back in 1 released")
                inner.rollback()
            outer = session.begin_nested()
            with session.begin_nested():
                repo.add_job_on_commit(session, "2 released in 1 rolled back")
            outer.rollback()

    await run(body)
    assert await added(look) == ["2 released in 1 released"]


async def test_a_flush_that_fails_in_a_savepoint(run: Run, repo: JobRepository, look: Look) -> None:
    """The usual way to try an insert: its failure drops the savepoint's jobs and no others, and the commit works."""

    def try_to_insert(session: Session) -> None:
        with session.begin_nested():
            repo.add_job_on_commit(session, "inside")
            session.add(Order(item="tea"))

    def body(session: Session) -> None:
        session.add(Order(item="tea"))
        repo.add_job_on_commit(session, "outside")
        with pytest.raises(IntegrityError):
            try_to_insert(session)
        with session.begin_nested():
            repo.add_job_on_commit(session, "another")
        late = repo.add_job_on_commit(session, "late")
        session.commit()
        assert late.is_added

    await run(body)
    assert await added(look) == ["outside", "another", "late"]


async def test_a_savepoint_that_is_open_at_the_commit(run: Run, repo: JobRepository, look: Look) -> None:
    """SQLAlchemy releases it, and so do we, whether the session or its transaction is committed."""

    def by_transaction(session: Session) -> None:
        with session.begin():
            repo.add_job_on_commit(session, "outer")
            session.begin_nested()
            session.begin_nested()
            repo.add_job_on_commit(session, "inner", lambda: {"orders": session.query(Order).count()})
            session.add(Order(item="tea"))

    def by_session(session: Session) -> None:
        session.begin_nested()
        handle = repo.add_job_on_commit(session, "by session")
        session.commit()
        assert handle.is_added

    await run(by_transaction)
    await run(by_session)
    assert await added(look) == ["outer", "inner", "by session"]
    assert (
        await look.value("select payload->>'orders' from {s}._private_jobs where payload->>'orders' is not null") == "1"
    )


async def test_the_rollback_of_all(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        with session.begin_nested():
            repo.add_job_on_commit(session, "released")
        session.begin_nested()
        repo.add_job_on_commit(session, "open")
        session.rollback()
        session.commit()

    await run(body)
    assert await added(look) == []


async def test_savepoints_of_a_payload_function(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        def payload() -> str:
            with session.begin_nested():
                repo.add_job_on_commit(session, "kept")
            savepoint = session.begin_nested()
            repo.add_job_on_commit(session, "gone")
            savepoint.rollback()
            return "x"

        handle = repo.add_job_on_commit(session, "outer", payload)
        session.commit()
        assert handle.job.payload == "x"

    await run(body)
    assert await added(look) == ["outer", "kept"]
