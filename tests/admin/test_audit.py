"""Who did what: a line for each action whose actor is named, in the action's own transaction; and unlocking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, InvalidJobError, SchemaBehindError, SessionError
from gw_sqla.admin import Admin, Complete, EditPayload, Fail, JobFilter, Reschedule, Retry, Unlocked
from tests.admin.door import Door
from tests.admin.test_explain import add, worker
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def lines(door: Door, **options: Any) -> list[tuple[Any, ...]]:
    found = await door.ask("list_audit", **options)
    assert all(abs(line.at - datetime.now(UTC)) < timedelta(minutes=5) for line in found)
    return [(line.actor, line.action, line.detail, line.subject, line.jobs, line.left_out) for line in found]


async def test_nobody_is_named(door: Door, look: Look) -> None:
    await door.ask("act", Complete(), await add(look))
    assert await lines(door) == []


async def test_lines(door: Door, look: Look) -> None:
    held, first, second = [await add(look) for _ in range(3)]
    await look.lock(held)
    await door.ask("act", Reschedule(priority=5), "state:ready task:a", actor="ada")
    await door.ask("act", Fail("no use"), JobFilter.parse("task:a"), actor="grace")
    await door.ask("act", EditPayload({"token": "secret"}), [second, first], actor="ada")
    await door.ask("act", Complete(), range(first, first + 500), actor="ada")
    named = ",".join(str(first + n) for n in range(100))
    assert await lines(door) == [
        ("ada", "complete", None, f"id:{named},... (500 ids)", 2, 498),
        ("ada", "edit", None, f"id:{first},{second}", 2, 0),
        ("grace", "fail", "message=no use", "task:a", 2, 1),
        ("ada", "reschedule", "priority=5", "state:ready task:a", 2, 0),
    ]


async def test_pages(door: Door, look: Look) -> None:
    for n in range(3):
        await door.ask("act", Retry(), [n], actor=f"actor {n}")
    newest, middle = await door.ask("list_audit", limit=2)
    assert (newest.actor, middle.actor) == ("actor 2", "actor 1")
    [oldest] = await door.ask("list_audit", before=middle.id)
    assert oldest.actor == "actor 0"
    assert await door.ask("list_audit", after=oldest.id) == [newest, middle]
    assert await door.ask("list_audit", after=oldest.id, limit=1) == [middle]
    assert await door.ask("list_audit", after=newest.id) == []
    with pytest.raises(InvalidJobError, match="before"):
        await door.ask("list_audit", before="x")


async def test_a_line_goes_with_its_action(door: Door, look: Look) -> None:
    job_id = await add(look)
    async with door.begin() as transaction:
        await transaction.value("savepoint mine")
        await transaction.ask("act", Complete(), [job_id], actor="ada")
        await transaction.value("rollback to savepoint mine")
    assert await lines(door) == []
    assert set(await look.jobs()) == {job_id}


async def test_old_lines_are_taken_away(door: Door, look: Look) -> None:
    await look.execute(
        "insert into {s}._private_sqla_audit (at, actor, action, subject, jobs, left_out) "
        "select now() - interval '91 days', 'old', 'fail', 'id:1', 1, 0 from generate_series(1, 1500)"
    )
    await look.execute(
        "insert into {s}._private_sqla_audit (at, actor, action, subject, jobs, left_out) "
        "values (now() - interval '89 days', 'not so old', 'fail', 'id:1', 1, 0)"
    )
    await door.ask("act", Retry(), [1], actor="ada")
    assert await look.value("select count(*) from {s}._private_sqla_audit where actor = 'old'") == 500
    await door.ask("act", Retry(), [1], actor="ada")
    assert {line.actor for line in await door.ask("list_audit")} == {"ada", "not so old"}


async def test_a_schema_without_the_table(door: Door, look: Look) -> None:
    """Nothing is done in the name of somebody of whom no line can be left."""
    job_id = await add(look)
    await look.execute("alter table {s}._private_sqla_audit rename to elsewhere")
    try:
        with pytest.raises(SchemaBehindError, match="gw_sqla migrate"):
            await door.ask("act", Complete(), [job_id], actor="ada")
        assert await door.ask("list_audit") == []
        assert (await door.ask("act", Retry(), [job_id])).done == 1
    finally:
        await look.execute("alter table {s}.elsewhere rename to _private_sqla_audit")
    assert set(await look.jobs()) == {job_id}


async def test_a_job_is_removed_by_its_key(door: Door, look: Look) -> None:
    """One that a worker has is not tried again."""
    waiting, held = await add(look, key="'k 1'"), await add(look, key="'held'")
    await look.lock(held)
    assert (await door.ask("remove_job", "k 1", actor="ada")).id == waiting
    job = await door.ask("remove_job", "held", actor="ada")
    assert (job.id, job.key, job.attempts) == (held, None, 25)
    assert await door.ask("remove_job", "held", actor="ada") is None
    assert await door.ask("remove_job", "k") is None
    assert set(await look.jobs()) == {held}
    assert await lines(door) == [
        ("ada", "remove", None, "key:held", 0, 0),
        ("ada", "remove", "a worker has it: no further attempt", "key:held", 1, 0),
        ("ada", "remove", None, 'key:"k 1"', 1, 0),
    ]


async def test_pauses_leave_lines(door: Door, look: Look) -> None:
    """Whoever is the actor is also who paused it, unless somebody else is named."""
    until = datetime(2100, 1, 1, tzinfo=UTC)
    pause = await door.ask("pause", task="a b", reason="bad deploy", until=until, actor="ada")
    assert pause.paused_by == "ada"
    assert (await door.ask("pause", queue_name="mail", paused_by="bob", actor="ada")).paused_by == "bob"
    await door.ask("pause", everything=True)
    await door.ask("resume", task="a b", actor="grace")
    await door.ask("resume", task="a b", actor="grace")
    await door.ask("resume", everything=True, actor="ada")
    assert await lines(door) == [
        ("ada", "resume", "pauses=2", "everything", 0, 0),
        ("grace", "resume", "pauses=0", 'task:"a b"', 0, 0),
        ("grace", "resume", "pauses=1", 'task:"a b"', 0, 0),
        ("ada", "pause", "paused_by=bob", "queue:mail", 0, 0),
        ("ada", "pause", "until=2100-01-01 00:00:00+00:00 reason=bad deploy", 'task:"a b"', 0, 0),
    ]


async def test_pauses_of_a_schema_that_a_peer_made(door: Door, look: Look) -> None:
    """Nothing is paused there, and nothing can be."""
    await look.execute("alter table {s}._private_sqla_pauses rename to elsewhere")
    try:
        assert await door.ask("list_pauses") == []
        assert await door.ask("resume", everything=True) == []
        with pytest.raises(SchemaBehindError, match="nothing can be paused: run 'python -m gw_sqla migrate'"):
            await door.ask("pause", task="a")
    finally:
        await look.execute("alter table {s}.elsewhere rename to _private_sqla_pauses")


@pytest.mark.parametrize("method", ["pause", "resume"])
async def test_pauses_without_the_table(door: Door, look: Look, method: str) -> None:
    await door.ask("pause", queue_name="mail")
    await look.execute("alter table {s}._private_sqla_audit rename to elsewhere")
    try:
        with pytest.raises(SchemaBehindError, match="gw_sqla migrate"):
            await door.ask(method, everything=True, actor="ada")
    finally:
        await look.execute("alter table {s}.elsewhere rename to _private_sqla_audit")
    with pytest.raises(InvalidJobError, match="actor: must have 1 to 200"):
        await door.ask(method, everything=True, actor="")
    assert [one.kind for one in await door.ask("list_pauses")] == ["queue"]


async def test_no_line_without_a_transaction(engine: AsyncEngine) -> None:
    """In AUTOCOMMIT it would be committed after what it tells, or not at all."""
    pausing = Admin()
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        for call in (pausing.pause(session, task="a", actor="ada"), pausing.resume(session, task="a", actor="ada")):
            with pytest.raises(SessionError, match="AUTOCOMMIT"):
                await call
        with pytest.raises(SessionError, match="AUTOCOMMIT"):
            await pausing.remove_job(session, "k", actor="ada")
        assert await pausing.list_pauses(session) == []


@pytest.fixture
async def locked(look: Look) -> Look:
    """A pool that lives, one that is dead and one that is not known: each has a job, and its queue."""
    await worker(look, "pool-living")
    await worker(look, "pool-dead", silent="1 hour")
    for owner in ("pool-living", "pool-dead", "other"):
        await add(look, queue=f"'{owner}'", locked_by=f"'{owner}'", locked_at="now()", attempts="1")
    await look.execute("update {s}._private_job_queues set locked_by = queue_name, locked_at = now()")
    return look


async def owners(look: Look) -> set[str]:
    rows = await look.rows(
        "select locked_by from {s}._private_jobs where locked_by is not null "
        "union select locked_by from {s}._private_job_queues where locked_by is not null"
    )
    return {row["locked_by"] for row in rows}


async def test_unlock_leaves_the_living_alone(door: Door, locked: Look) -> None:
    found = await door.ask("unlock_workers", ["pool-living", "pool-dead", "other"], actor="ada")
    assert isinstance(found, Unlocked)
    assert (found.jobs, found.queues, [one.pool_id for one in found.living]) == (2, 2, ["pool-living"])
    assert await owners(locked) == {"pool-living"}
    assert await lines(door) == [("ada", "unlock", None, "locked-by:other,pool-dead", 2, 1)]


async def test_unlock_even_the_living(door: Door, locked: Look) -> None:
    assert await door.ask("unlock_workers", "pool-living", even_living=True) == Unlocked(1, 1, ())
    assert await owners(locked) == {"pool-dead", "other"}


async def test_unlock_nobody(door: Door, locked: Look) -> None:
    found = await door.ask("unlock_workers", "pool-living")
    assert (found.jobs, found.queues) == (0, 0)
    assert await door.ask("unlock_workers", []) == Unlocked(0, 0, ())
    assert len(await owners(locked)) == 3


@pytest.mark.parametrize(
    ("locked_by", "options", "why"),
    [
        (None, {}, "locked_by: must be a list"),
        ([7], {}, "locked_by: must be a str"),
        ([""], {}, "locked_by: must have 1 to"),
        ([str(n) for n in range(1001)], {}, "locked_by: has 1001 ids"),
        (["x"], {"even_living": 1}, "even_living: must be True or False"),
    ],
)
async def test_bad_arguments(door: Door, look: Look, locked_by: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidJobError, match=why):
        await door.ask("unlock_workers", locked_by, **options)
