"""Acting on jobs: each action, what is left out and why, chunks, cursors, and what an error undoes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AccessError,
    AsyncSession,
    InvalidFilterError,
    InvalidJobError,
    InvalidPayloadError,
    SessionError,
    async_sessionmaker,
)
from gw_sqla.admin import (
    Acted,
    Admin,
    Complete,
    Count,
    EditPayload,
    Fail,
    LeftOut,
    Preview,
    Remove,
    Reschedule,
    Retry,
    RunCopy,
    WhyLeftOut,
)
from gw_sqla.schema.grants import grants
from tests.admin.acting import act, add_many
from tests.admin.door import ROOMY, Door
from tests.admin.test_explain import add
from tests.repository.look import Look
from tests.schema.roles import Role, temporary_role
from tests.support.server import Server, execute

pytestmark = pytest.mark.anyio

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("action", [Complete(), Remove()])
async def test_delete(door: Door, look: Look, action: Any) -> None:
    ids = [await add(look) for _ in range(3)]
    assert await act(door, action, ids[:2]) == Acted(2)
    assert set(await look.jobs()) == {ids[2]}
    assert await act(door, action, ids[2]) == Acted(1)


@pytest.mark.parametrize(("action", "told"), [(Fail(), "Manually marked as failed"), (Fail("because"), "because")])
async def test_fail(door: Door, look: Look, action: Any, told: str) -> None:
    job_id = await add(look)
    assert (await act(door, action, [job_id])).done == 1
    job = (await look.jobs())[job_id]
    assert (job["attempts"], job["last_error"]) == (25, told)


@pytest.mark.parametrize("run_at", [None, LATER])
async def test_retry(door: Door, look: Look, run_at: datetime | None) -> None:
    job_id = await add(look, attempts="25", last_error="'e'", run_at="now() + interval '6 hours'")
    assert (await act(door, Retry(run_at), "state:failed")).done == 1
    job = (await look.jobs())[job_id]
    assert (job["attempts"], job["last_error"]) == (0, "e")
    assert job["run_at"] == run_at if run_at else job["run_at"] <= datetime.now(UTC) + timedelta(minutes=1)


async def test_reschedule(door: Door, look: Look) -> None:
    job_id = await add(look)
    assert (await act(door, Reschedule(run_at=LATER, priority=-3, max_attempts=4), [job_id])).done == 1
    job = (await look.jobs())[job_id]
    assert (job["run_at"], job["priority"], job["max_attempts"]) == (LATER, -3, 4)
    await act(door, Reschedule(priority=7), [job_id])
    job = (await look.jobs())[job_id]
    assert (job["run_at"], job["priority"], job["max_attempts"]) == (LATER, 7, 4)


async def test_more_attempts_for_a_failed_job_run_it_now(door: Door, look: Look) -> None:
    job_id = await add(look, attempts="25", run_at="now() + interval '6 hours'")
    await act(door, Reschedule(max_attempts=26), "state:failed")
    job = (await look.jobs())[job_id]
    assert job["is_available"]
    assert job["run_at"] <= datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.parametrize("payload", [{"n": 1, "é": ["x", None]}, [], None, "text", 7.5, True])
async def test_edit_the_payload(door: Door, look: Look, payload: Any) -> None:
    job_id = await add(look)
    assert (await act(door, EditPayload(payload), [job_id])).done == 1
    [job] = (await door.ask("list_jobs")).jobs
    assert (job.id, job.payload, job.revision) == (job_id, payload, 1)


async def test_run_a_copy(door: Door, look: Look) -> None:
    """Of a running job too, which stays as it is."""
    job_id = await add(
        look, queue="'q'", payload="'{\"n\": 1}'", priority="-3", max_attempts="4", key="'k'", run_at="'2100-01-01'",
        flags_json='{"b": true, "a": true}', locked_by="'pool-1'", locked_at="now()", attempts="2",
    )  # fmt: skip
    before = (await look.jobs())[job_id]
    found = await act(door, RunCopy(), [job_id])
    assert (found.done, len(found.copies)) == (1, 1)
    after = await look.jobs()
    assert after[job_id] == before
    [copy_id] = found.copies
    copy = after[copy_id]
    same = ("task_id", "job_queue_id", "payload", "priority", "max_attempts", "flags")
    assert {name: copy[name] for name in same} == {name: before[name] for name in same}
    assert (copy["key"], copy["attempts"], copy["locked_by"]) == (None, 0, None)
    assert copy["run_at"] <= datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ('["a", "b"]', '{"a": true, "b": true}'),
        ('"a"', '{"a": true}'),
        ('[null, 1, ["b"], "a"]', '{"a": true}'),
        ('{"a": false}', '{"a": true}'),
        ("[null]", None),
        ("7", None),
        (None, None),
    ],
)
async def test_odd_flags_of_a_copy(door: Door, look: Look, flags: str | None, kept: str | None) -> None:
    """Those that a claim sees in them."""
    job_id = await add(look, flags_json=flags)
    [copy_id] = (await act(door, RunCopy(), job_id)).copies
    copied = await look.value("select flags::text from {s}._private_jobs where id = $1", copy_id)
    assert copied == kept


@pytest.mark.parametrize("action", [Complete(), Remove(), Fail(), Retry(), Reschedule(priority=1), EditPayload(1)])
async def test_what_is_left_out_and_why(door: Door, look: Look, action: Any) -> None:
    """What a worker has, what another transaction has, what is gone; a lock of over four hours does not count."""
    free, held, stale, busy = [await add(look) for _ in range(4)]
    gone = busy + 1000
    await look.lock(held)
    await look.lock(stale, since="now() - interval '241 minutes'")
    before = (await look.jobs())[held]
    await look.execute("begin")
    await look.execute("select from {s}._private_jobs where id = $1 for update", busy)
    try:
        found = await act(door, action, [gone, busy, stale, held, free])
    finally:
        await look.execute("rollback")
    assert found.done == 2
    assert found.left_out == {WhyLeftOut.HELD: 1, WhyLeftOut.BUSY: 1, WhyLeftOut.GONE: 1}
    assert found.examples == (
        LeftOut(held, WhyLeftOut.HELD, "pool-1", before["locked_at"]),
        LeftOut(busy, WhyLeftOut.BUSY),
        LeftOut(gone, WhyLeftOut.GONE),
    )
    assert (await look.jobs())[held] == before


async def test_a_copy_of_what_is_gone(door: Door, look: Look) -> None:
    job_id = await add(look, task_id="0")
    found = await act(door, RunCopy(), [job_id, job_id + 1])
    assert found == Acted(
        0,
        {WhyLeftOut.NO_TASK: 1, WhyLeftOut.GONE: 1},
        (LeftOut(job_id, WhyLeftOut.NO_TASK), LeftOut(job_id + 1, WhyLeftOut.GONE)),
    )


async def test_preview(door: Door, look: Look) -> None:
    first = await add_many(look, 30)
    await look.lock(first)
    found = await door.ask("preview", "task:a")
    assert isinstance(found, Preview)
    assert (found.count, found.held, len(found.samples)) == (Count(30), Count(1), 10)
    assert [job.id for job in found.samples] == [first + n for n in range(10)]
    assert (await door.ask("preview", "state:waiting")).held == Count(0)
    assert (await door.ask("preview", "-locked-by:*")).held == Count(0)
    found = await door.ask("preview", [first, first + 1, 10**9])
    assert (found.count, found.held, len(found.samples)) == (Count(2), Count(1), 2)
    assert (await door.ask("preview", "task:a", most=7)).count == Count(7, is_exact=False)
    assert len(await look.jobs()) == 30


@pytest.mark.parametrize(
    ("action", "jobs", "options", "error", "why"),
    [
        (Complete(), "", {}, InvalidFilterError, "if all are meant, say id:>=0"),
        (Complete(), "stat:x", {}, InvalidFilterError, "did you mean 'state'"),
        (Complete(), None, {}, InvalidJobError, "jobs: must be a list of ids"),
        (Complete(), ["7"], {}, InvalidJobError, "cannot be the id of a job"),
        (Complete(), True, {}, InvalidJobError, "cannot be the id of a job"),
        (Complete, [7], {}, InvalidJobError, "action: must be one of Complete"),
        ("complete", [7], {}, InvalidJobError, "action: must be one of Complete"),
        (Complete(), [7], {"most": 0}, InvalidJobError, "most: must be an int"),
        (Complete(), [7], {"cursor": "x"}, InvalidJobError, "cursor: 'x' is none"),
        (Complete(), [7], {"cursor": 7}, InvalidJobError, "cursor: 7 is none"),
        (Complete(), "task:a", {"cursor": "9" * 19}, InvalidJobError, "cursor"),
        (Complete(), [7], {"actor": ""}, InvalidJobError, "actor: must have 1 to 200"),
        (Complete(), "task:a", {"limits": 7}, InvalidJobError, "limits: must be ScanLimits"),
    ],
)
async def test_bad_arguments(
    door: Door, look: Look, action: Any, jobs: Any, options: dict[str, Any], error: type[Exception], why: str
) -> None:
    await add(look)
    with pytest.raises(error, match=why):
        await door.ask("act", action, jobs, **options)
    assert len(await look.jobs()) == 1


@pytest.mark.parametrize(
    ("make", "error", "why"),
    [
        (lambda: Fail(7), InvalidJobError, "message: must be a str"),  # type: ignore[arg-type]
        (lambda: Retry(datetime(2026, 1, 1)), InvalidJobError, "run_at: has no time zone"),
        (Reschedule, InvalidJobError, "nothing to change"),
        (lambda: Reschedule(priority=40000), InvalidJobError, "priority: must be"),
        (lambda: Reschedule(max_attempts=0), InvalidJobError, "max_attempts: must be 1"),
        (lambda: EditPayload(object()), InvalidPayloadError, "is not JSON"),
        (lambda: EditPayload("x" * 2**24), InvalidPayloadError, "payload"),
    ],
)
async def test_bad_actions(make: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        make()


async def test_no_payload_is_shown_of_an_action() -> None:
    assert "secret" not in repr(EditPayload({"token": "secret"}))


async def test_a_read_only_transaction(door: Door, look: Look) -> None:
    job_id = await add(look)
    async with door.begin() as transaction:
        await transaction.value("set transaction read only")
        with pytest.raises(SessionError, match="read only"):
            await transaction.ask("act", Complete(), [job_id])
        assert await transaction.value("select 1") == 1
    assert set(await look.jobs()) == {job_id}


async def test_autocommit(engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        with pytest.raises(SessionError, match="AUTOCOMMIT, so a chunk could be half done"):
            await Admin().act(session, Complete(), [7])


@pytest.fixture
def reader(server: Server, clean_database: str) -> Iterator[Role]:
    """A role that may read jobs, and no more."""
    with temporary_role(server, clean_database) as role:
        for statement in grants(role.name, as_="reader"):
            asyncio.run(execute(clean_database, statement))
        yield role


async def test_a_role_that_may_read_only(reader: Role, clean_database: str, engine: AsyncEngine, look: Look) -> None:
    job_id = await add(look)
    async with async_sessionmaker(reader.engine(clean_database))() as session:
        admin = Admin(limits=ROOMY)
        assert [job.id for job in (await admin.list_jobs(session)).jobs] == [job_id]
        assert (await admin.preview(session, [job_id])).count == Count(1)
        for action in (Complete(), Fail(), Retry(), Reschedule(priority=1), EditPayload(1), RunCopy()):
            with pytest.raises(AccessError, match="grants ROLE"):
                await admin.act(session, action, [job_id])
        with pytest.raises(AccessError, match="grants ROLE"):
            await admin.unlock_workers(session, ["x"])
        await session.rollback()
    assert set(await look.jobs()) == {job_id}
