"""Acting on many jobs: chunks, cursors, what an error undoes, what comes and goes meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gw_sqla import (
    ReadTimeoutError,
)
from gw_sqla.admin import (
    Acted,
    Complete,
    LeftOut,
    Retry,
    RunCopy,
    ScanLimits,
    SyncAdmin,
    WhyLeftOut,
)
from tests.admin.acting import act, add_many
from tests.admin.door import ROOMY, Door
from tests.admin.test_explain import add
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

SHORT = ScanLimits(timeout=timedelta(milliseconds=30))


async def test_copies_are_not_copied(door: Door, look: Look) -> None:
    """A filter means the jobs that were there when it began, however many chunks it takes."""
    await add_many(look, 1500)
    seen: list[int] = []
    found = await act(door, RunCopy(), "task:a", on_progress=lambda acted: seen.append(acted.done))
    assert (found.done, found.cursor, seen) == (1500, None, [1000, 1500])
    assert len(found.copies) == 1000
    assert len(await look.jobs()) == 3000


async def test_all_that_match_in_chunks_with_progress(door: Door, look: Look) -> None:
    await add_many(look, 2500, attempts="25")
    waiting = await add(look)
    seen: list[Acted] = []
    found = await act(door, Retry(), "state:failed", on_progress=seen.append)
    assert found == Acted(2500)
    assert [acted.done for acted in seen] == [1000, 2000, 2500]
    assert all(acted.cursor for acted in seen[:2])
    jobs = await look.jobs()
    assert {job["attempts"] for job in jobs.values()} == {0}
    assert jobs[waiting]["updated_at"] == jobs[waiting]["created_at"]


async def test_it_goes_on_from_a_cursor(door: Door, look: Look) -> None:
    """As one does who commits in between; what is added meanwhile is not meant."""
    await add_many(look, 250)
    done = []
    cursor = None
    while True:
        found = await act(door, Complete(), "task:a", most=100, cursor=cursor)
        done.append(found.done)
        await add(look)
        if (cursor := found.cursor) is None:
            break
    assert done == [100, 100, 50]
    assert len(await look.jobs()) == 3


async def test_ids_go_on_from_a_cursor(door: Door, look: Look) -> None:
    first = await add_many(look, 5)
    ids = [first + n for n in range(5)]
    found = await act(door, Complete(), [*reversed(ids), *ids], most=3)
    assert (found.done, found.cursor is not None) == (3, True)
    assert await act(door, Complete(), ids, cursor=found.cursor) == Acted(2)


async def test_rows_that_do_not_fit_cost_no_more_than_the_limits_at_a_time(door: Door, look: Look) -> None:
    await add_many(look, 500)
    last = await add(look, payload="'{\"n\": 1}'")
    limits = ScanLimits(rows=60, timeout=ROOMY.timeout)
    assert await act(door, Complete(), "payload.n:1", limits=limits) == Acted(1)
    assert last not in await look.jobs()


async def test_a_job_that_does_not_fit_any_more_is_left_out(kind: str, look: Look, sync_engine: sa.Engine) -> None:
    """Another transaction changes it between the look and the lock."""
    if kind != "sync":
        return
    first, last = await add(look, attempts="25"), await add(look, attempts="25")

    def retry_one(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FOR UPDATE" in statement and connection.engine is sync_engine:
            other.execute(sa.text(f"update graphile_worker._private_jobs set attempts = 0 where id = {last}"))
            other.commit()

    with sync_engine.connect() as other, Session(sync_engine) as session:
        mine = session.connection()
        event.listen(mine, "before_cursor_execute", retry_one)
        found = SyncAdmin(limits=ROOMY).act(session, Complete(), "state:failed")
        session.commit()
    assert (found.done, found.examples) == (1, (LeftOut(last, WhyLeftOut.BUSY),))
    assert set(await look.jobs()) == {last} != {first}


async def test_an_error_undoes_its_chunk_and_no_more(door: Door, look: Look) -> None:
    first = await add_many(look, 1500)
    bad = first + 1200
    await look.execute(
        "create function public.refuse() returns trigger language plpgsql as $$ begin "
        f"if old.id = {bad} then raise exception 'no'; end if; return old; end $$"
    )
    await look.execute(
        "create trigger refuse before delete on {s}._private_jobs for each row execute function public.refuse()"
    )
    try:
        seen: list[Acted] = []
        async with door.begin() as transaction:
            with pytest.raises(DBAPIError):
                await transaction.ask("act", Complete(), "task:a", on_progress=seen.append)
            assert [acted.done for acted in seen] == [1000]
            assert await transaction.value("select count(*) from graphile_worker._private_jobs") == 500
        assert min(await look.jobs()) == first + 1000, "the first chunk was committed"
        assert seen[0].cursor is not None
    finally:
        await look.execute("drop function public.refuse cascade")


async def test_an_error_of_the_callers_progress_leaves_whole_chunks(door: Door, look: Look) -> None:
    await add_many(look, 1500)

    def stop(_: Acted) -> None:
        raise ValueError("stop")

    async with door.begin() as transaction:
        with pytest.raises(ValueError, match="stop"):
            await transaction.ask("act", Complete(), "task:a", on_progress=stop)
    assert len(await look.jobs()) == 500


async def test_it_is_the_callers_to_commit(door: Door, look: Look) -> None:
    job_id = await add(look)
    async with door.begin() as transaction:
        await transaction.value("savepoint mine")
        assert (await transaction.ask("act", Complete(), [job_id])).done == 1
        await transaction.value("rollback to savepoint mine")
    assert set(await look.jobs()) == {job_id}


async def test_out_of_time(door: Door, look: Look) -> None:
    """Where no step of the search is quick enough, nothing is done, and it is said."""
    await add(look)
    async with door.begin() as transaction:
        await look.execute("begin; lock table {s}._private_jobs in access exclusive mode")
        try:
            with pytest.raises(ReadTimeoutError):
                await transaction.ask("act", Complete(), "task:a", cursor="0-9", limits=SHORT)
        finally:
            await look.execute("rollback")
    assert len(await look.jobs()) == 1


async def test_a_server_that_goes_away(kind: str, look: Look, sync_engine: sa.Engine) -> None:
    """What was committed stays, the chunk in hand is undone, and the last cursor goes on."""
    if kind != "sync":
        return
    await add_many(look, 250)
    admin = SyncAdmin(limits=ROOMY)
    with Session(sync_engine) as session:
        first = admin.act(session, Complete(), "task:a", most=100)
        session.commit()
        pid = session.execute(sa.text("select pg_backend_pid()")).scalar_one()

        def cut(_: Acted) -> None:
            with sync_engine.connect() as other:
                other.execute(sa.text(f"select pg_terminate_backend({pid})"))

        admin.act(session, Complete(), "task:a", most=100, cursor=first.cursor, on_progress=cut)
        with pytest.raises(DBAPIError):
            session.commit()
        session.rollback()
        assert len(await look.jobs()) == 150
        rest = admin.act(session, Complete(), "task:a", cursor=first.cursor)
        session.commit()
    assert (rest.done, rest.cursor) == (150, None)
    assert await look.jobs() == {}


async def test_a_connection_that_is_cut_in_a_chunk(kind: str, look: Look, sync_engine: sa.Engine) -> None:
    if kind != "sync":
        return
    await add_many(look, 5)

    def cut(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "complete_jobs" in statement:
            other.execute(sa.text(f"select pg_terminate_backend({pid})"))
            other.commit()

    with sync_engine.connect() as other, Session(sync_engine) as session:
        pid = session.execute(sa.text("select pg_backend_pid()")).scalar_one()
        event.listen(session.connection(), "before_cursor_execute", cut)
        with pytest.raises(DBAPIError):
            SyncAdmin(limits=ROOMY).act(session, Complete(), "task:a")
        session.rollback()
    assert len(await look.jobs()) == 5
