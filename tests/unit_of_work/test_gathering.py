"""Jobs that are added by the application's own session and mapper events, early or late in a commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from gw_sqla import JobRepository
from tests.repository.look import Look
from tests.unit_of_work.application import Order
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio


@pytest.fixture
def listening() -> Iterator[Any]:
    """Like event.listen; what was listened to ends with the test."""
    listeners: list[tuple[Any, str, Any]] = []

    def listen(target: Any, name: str, listener: Any) -> None:
        event.listen(target, name, listener)
        listeners.append((target, name, listener))

    yield listen
    for one in listeners:
        event.remove(*one)


async def payloads(look: Look) -> list[str]:
    rows = await look.rows("select payload from {s}._private_jobs order by id")
    return [row["payload"] for row in rows]


async def test_mapper_events_in_the_flush_of_the_commit(
    run: Run, repo: JobRepository, look: Look, listening: Any
) -> None:
    """The session's first job comes when its commit has long begun."""

    def inserted(_mapper: object, _connection: object, order: Order) -> None:
        session: Any = Session.object_session(order)
        repo.add_job_on_commit(session, "a", lambda: order.id)

    listening(Order, "after_insert", inserted)

    def body(session: Session) -> None:
        session.add_all([Order(item="tea"), Order(item="coffee")])
        session.commit()
        session.add(Order(item="cocoa"))
        session.flush()
        session.commit()

    async with look.notifications() as heard:
        await run(body)
    assert await payloads(look) == ["1", "2", "3"]
    assert [notice["count"] for notice in heard] == [2, 1]


@pytest.mark.parametrize("name", ["before_flush", "after_flush", "after_flush_postexec"])
async def test_flush_events(run: Run, repo: JobRepository, look: Look, listening: Any, name: str) -> None:
    def flushing(session: Session, *_: object) -> None:
        repo.add_job_on_commit(session, "a", name)

    def body(session: Session) -> None:
        listening(session, name, flushing)
        session.add(Order(item="tea"))
        session.commit()

    await run(body)
    assert await payloads(look) == [f'"{name}"']


@pytest.mark.parametrize("on", ["class", "session"])
@pytest.mark.parametrize("first", [True, False])
async def test_before_commit(run: Run, repo: JobRepository, look: Look, listening: Any, on: str, first: bool) -> None:
    """Listeners that come after ours, whether or not the session had gathered something by then."""

    def committing(session: Session) -> None:
        order = Order(item="tea")
        session.add(order)

        def payload() -> int:
            repo.add_job_on_commit(session, "a", "by the payload function")
            return order.id

        repo.add_job_on_commit(session, "a", payload)

    def body(session: Session) -> None:
        listening(Session if on == "class" else session, "before_commit", committing)
        if not first:
            repo.add_job_on_commit(session, "a", 0)
        session.commit()

    await run(body)
    assert await payloads(look) == ([] if first else ["0"]) + ["1", '"by the payload function"']


async def test_a_listener_that_fails_after_ours(run: Run, repo: JobRepository, look: Look, listening: Any) -> None:
    """The jobs were sent, and are not sent again; whether they are there is up to the transaction."""

    def body(session: Session) -> None:
        wrong = [True]

        def committing(_session: Session) -> None:
            if wrong.pop():
                raise ZeroDivisionError

        listening(session, "before_commit", committing)
        dropped = repo.add_job_on_commit(session, "a", "dropped")
        with pytest.raises(ZeroDivisionError):
            session.commit()
        assert not dropped.is_added
        session.rollback()
        assert "dropped" in repr(dropped)
        wrong.extend([False, True])
        handle = repo.add_job_on_commit(session, "a", "kept")
        with pytest.raises(ZeroDivisionError):
            session.commit()
        assert "waiting" in repr(handle)
        session.commit()
        assert "added" in repr(handle)

    await run(body)
    assert await payloads(look) == ['"kept"']


async def test_a_payload_function_of_a_late_listener_adds_jobs(
    run: Run, repo: JobRepository, look: Look, listening: Any
) -> None:
    """With nothing to flush, it is called at once, and only once."""

    def payload() -> str:
        repo.add_job_on_commit(session_of[0], "a", "inner")
        return "outer"

    def committing(session: Session) -> None:
        session_of.append(session)
        repo.add_job_on_commit(session, "a", payload)

    def body(session: Session) -> None:
        listening(session, "before_commit", committing)
        session.commit()

    session_of: list[Session] = []
    await run(body)
    assert await payloads(look) == ['"outer"', '"inner"']


async def test_a_payload_function_that_fails_in_the_flush_of_the_commit(
    run: Run, repo: JobRepository, look: Look, listening: Any
) -> None:
    """Its own error comes out, and the session is as after any flush that failed."""

    def inserted(_mapper: object, _connection: object, order: Order) -> None:
        session: Any = Session.object_session(order)
        repo.add_job_on_commit(session, "a", lambda: 1 / 0)

    listening(Order, "after_insert", inserted)

    def body(session: Session) -> None:
        session.add(Order(item="tea"))
        with pytest.raises(ZeroDivisionError):
            session.commit()
        session.rollback()
        repo.add_job_on_commit(session, "a", "again")
        session.commit()

    await run(body)
    assert await payloads(look) == ['"again"']
    assert await look.value("select count(*) from orders") == 0
