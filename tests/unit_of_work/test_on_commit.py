"""add_job_on_commit: jobs gather in the session and go with its commit, whatever the kind of session."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, async_scoped_session
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from gw_sqla import (
    AsyncSession,
    JobNotAddedError,
    JobRepository,
    SchemaMissingError,
    SyncJobRepository,
    async_sessionmaker,
    call_asyncio,
)
from tests.repository.look import Look
from tests.unit_of_work.application import Order, ProcessOrder, process_order, tick
from tests.unit_of_work.conftest import ALL_KINDS, Run

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ALL_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def listen(session: Session) -> list[str]:
    """Gather what the session's engine sends from now on."""
    sent: list[str] = []
    engine: Any = session.get_bind()

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        sent.append(sql)

    event.listen(engine, "before_cursor_execute", note)
    return sent


async def test_one_round_trip_at_the_commit(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        sent = listen(session)
        handles = [repo.add_job_on_commit(session, "a", {"n": n}) for n in range(100)]
        assert session.in_transaction(), "as after session.add"
        assert sent == []
        with pytest.raises(JobNotAddedError, match="when the session's transaction commits"):
            handles[0].job  # noqa: B018 - that is the point
        session.commit()
        assert len(sent) == 1
        assert [handle.job.payload["n"] for handle in handles] == list(range(100))
        ids.extend(handle.job.id for handle in handles)

    ids: list[int] = []
    async with look.notifications() as heard:
        await run(body)
    assert sorted(await look.jobs()) == ids
    assert [notice["count"] for notice in heard] == [100]


async def test_a_payload_function_knows_what_the_flush_knows(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> Any:
        order = Order(item="tea")
        handle = repo.add_job_on_commit(
            session, process_order, lambda: ProcessOrder(order_id=order.id, placed_at=order.placed_at), queue_name="q"
        )
        session.add(order)
        session.commit()
        return order.id, order.placed_at, handle.job

    order_id, placed_at, job = await run(body)
    assert ProcessOrder.model_validate(job.payload) == ProcessOrder(order_id=order_id, placed_at=placed_at)
    [view] = await look.rows("select * from {s}.jobs")
    assert (view["task_identifier"], view["queue_name"], view["id"]) == ("process_order", "q", job.id)


async def test_a_payload_is_what_it_was_when_it_was_given(run: Run, repo: JobRepository) -> None:
    def body(session: Session) -> Any:
        payload = {"n": [1]}
        handle = repo.add_job_on_commit(session, "a", payload)
        payload["n"].append(2)
        repo.add_job_on_commit(session, tick)
        session.commit()
        return handle.job.payload

    assert await run(body) == {"n": [1]}


@pytest.mark.parametrize("end", ["rollback", "close", "invalidate"])
async def test_without_a_commit_nothing_is_added(run: Run, repo: JobRepository, look: Look, end: str) -> None:
    def body(session: Session) -> None:
        called: list[int] = []
        dropped = repo.add_job_on_commit(session, "dropped", lambda: called.append(1))
        session.flush()
        getattr(session, end)()
        assert called == []
        with pytest.raises(JobNotAddedError, match="was rolled back"):
            dropped.job  # noqa: B018 - that is the point
        kept = repo.add_job_on_commit(session, "kept")
        session.commit()
        assert kept.is_added
        assert not dropped.is_added

    await run(body)
    assert [row["task_identifier"] for row in await look.rows("select * from {s}.jobs")] == ["kept"]


async def test_payload_functions_may_add_objects_and_jobs(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        sent = listen(session)

        def outer() -> dict[str, int]:
            order = Order(item="by a payload function")
            session.add(order)
            repo.add_job_on_commit(session, "inner", lambda: {"order": order.id})
            return {"outer": 1}

        repo.add_job_on_commit(session, "outer", outer)
        session.commit()
        assert len([sql for sql in sent if "add_jobs" in sql]) == 1

    await run(body)
    [order_id] = [row["id"] for row in await look.rows("select id from orders")]
    jobs = await look.rows(
        "select payload, task_identifier from {s}.jobs join {s}._private_jobs using (id) order by id"
    )
    assert [(row["task_identifier"], row["payload"]) for row in jobs] == [
        ("outer", '{"outer":1}'),
        ("inner", f'{{"order":{order_id}}}'),
    ]


async def test_a_payload_function_that_fails_fails_the_commit(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        wrong = [True]
        calls: list[str] = []

        def payload() -> str:
            if wrong:
                raise ZeroDivisionError
            return "ok"

        session.add(Order(item="tea"))
        repo.add_job_on_commit(session, "first", lambda: calls.append("first"))
        handle = repo.add_job_on_commit(session, "second", payload)
        with pytest.raises(ZeroDivisionError):
            session.commit()
        assert session.in_transaction(), "for the caller to roll back, or to go on"
        assert not handle.is_added
        wrong.clear()
        session.commit()
        assert handle.job.payload == "ok"
        assert calls == ["first"], "each is called once"

    await run(body)
    assert len(await look.jobs()) == 2


async def test_a_rollback_after_a_failed_commit(run: Run, repo: JobRepository, look: Look) -> None:
    def body(session: Session) -> None:
        session.add(Order(item="tea"))
        repo.add_job_on_commit(session, "a")
        repo.add_job_on_commit(session, "a", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            session.commit()
        session.rollback()
        session.commit()

    await run(body)
    assert await look.jobs() == {}
    assert await look.value("select count(*) from orders") == 0


async def test_two_schemas(run: Run, repo: JobRepository) -> None:
    """Each repository adds to its own; here the other one is missing, so the commit fails as a whole."""

    def body(session: Session) -> None:
        repo.add_job_on_commit(session, "a")
        JobRepository("elsewhere").add_job_on_commit(session, "a")
        with pytest.raises(SchemaMissingError, match="elsewhere"):
            session.commit()

    await run(body)


async def test_sessions_without_jobs_are_left_alone(run: Run, look: Look) -> None:
    def body(session: Session) -> None:
        seen: list[bool] = []
        event.listen(session, "before_commit", lambda one: seen.append(bool(one.new)))
        session.add(Order(item="tea"))
        session.commit()
        assert seen == [True], "not flushed before the application's own listener looks"
        assert session.info == {}

    await run(body)
    assert await look.value("select count(*) from orders") == 1


async def test_in_async_with(any_engine: Engine | AsyncEngine, repo: JobRepository, look: Look) -> None:
    """As an application with AsyncSessions writes it; what `run` does is its inside."""
    if isinstance(any_engine, Engine):
        pytest.skip("for AsyncSession")
    sessions = async_sessionmaker(any_engine)
    async with sessions.begin() as session:
        order = Order(item="tea")
        session.add(order)
        handle = repo.add_job_on_commit(session, process_order, lambda: ProcessOrder(order_id=order.id))
        async with session.begin_nested():
            kept = repo.add_job_on_commit(session, "kept")
        with pytest.raises(ZeroDivisionError):
            await fail(session, repo)
    assert (handle.job.payload["order_id"], kept.is_added) == (1, True)
    with pytest.raises(ZeroDivisionError):
        await fail(sessions(), repo)
    assert [row["task_identifier"] for row in await look.rows("select * from {s}.jobs order by id")] == [
        "process_order",
        "kept",
    ]


async def fail(session: AsyncSession, repo: JobRepository) -> None:
    async with session.begin_nested() if session.in_transaction() else session.begin():
        repo.add_job_on_commit(session, "gone")
        raise ZeroDivisionError


async def test_scoped_sessions(any_engine: Engine | AsyncEngine, repo: JobRepository, look: Look) -> None:
    """Flask-SQLAlchemy's ``db.session`` is one."""
    if isinstance(any_engine, Engine):
        scoped = scoped_session(sessionmaker(any_engine))
        handle = repo.add_job_on_commit(scoped, "a")
        SyncJobRepository().add_job(scoped, "a")
        scoped.commit()
        scoped.remove()
    else:
        asynchronous = async_scoped_session(async_sessionmaker(any_engine), scopefunc=lambda: 1)
        handle = repo.add_job_on_commit(asynchronous, "a")
        await JobRepository().add_job(asynchronous, "a")
        await call_asyncio(asynchronous.commit)
        await call_asyncio(asynchronous.remove)
    assert handle.is_added
    assert len(await look.jobs()) == 2
