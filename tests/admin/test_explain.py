"""Why a job is not running: each reason, several at once, and the worker that stands behind it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gw_sqla import InvalidJobError, RunnerSettings
from gw_sqla.admin import (
    AttemptsUsedUp,
    Complete,
    Count,
    DueLater,
    Explanation,
    FlagsRefused,
    JobGone,
    Paused,
    QueueLocked,
    Running,
    ScanLimits,
    Snoozes,
    TaskUnknown,
    Waiting,
)
from gw_sqla.worker.registration import worker_facts
from tests.admin.door import Door
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def add(look: Look, **columns: Any) -> int:
    """Add a job of the task ``a`` by the schema's function, then set columns as they are given, in SQL."""
    queue = columns.pop("queue", "null")
    flags = columns.pop("flags_json", None)
    job_id = await look.value(f"select id from {{s}}.add_job('a', queue_name := {queue})")
    if flags is not None:
        columns["flags"] = f"'{flags}'::jsonb"
    for column, value in columns.items():
        await look.execute(f"update {{s}}._private_jobs set {column} = {value} where id = $1", job_id)
    return int(job_id)


async def worker(
    look: Look,
    pool_id: str = "pool-1",
    *,
    silent: str = "0",
    tasks: Any = ("a",),
    forwarded: Any = (),
    **settings: Any,
) -> None:
    facts = json.loads(worker_facts(RunnerSettings(**settings), list(tasks), forwarded))
    facts |= {"host": "there", "pid": 7}
    await look.execute(
        "insert into {s}._private_sqla_workers (pool_id, last_heartbeat_at, heartbeat_threshold, metadata) "
        f"values ($1, now() - interval '{silent}', '1 minute', $2)",
        pool_id,
        json.dumps(facts),
    )


async def explain(door: Door, job_id: int) -> Explanation:
    found = await door.ask("explain_job", job_id)
    assert isinstance(found, Explanation)
    return found


async def test_a_job_that_is_gone(door: Door, look: Look) -> None:
    found = await explain(door, 7)
    assert (found.job, found.reasons) == (None, (JobGone(7),))
    assert str(found).startswith("There is no job 7: it was completed or removed")


@pytest.mark.parametrize("job_id", [-1, "7", None, True])
async def test_what_is_no_id(door: Door, look: Look, job_id: Any) -> None:
    with pytest.raises(InvalidJobError, match="job_id"):
        await door.ask("explain_job", job_id)


async def test_running(door: Door, look: Look) -> None:
    job_id = await add(look, attempts="2", locked_by="'pool-1'", locked_at="'2026-01-01 12:00Z'")
    found = await explain(door, job_id)
    [reason] = found.reasons
    assert isinstance(reason, Running)
    assert (reason.locked_by, reason.attempt, reason.worker) == ("pool-1", 2, None)
    assert "pool-1, which our register does not know" in str(found)
    await worker(look)
    assert str(await explain(door, job_id)) == (
        "It is running, attempt 2, since 2026-01-01 12:00:00 UTC, at pool-1 (process 7 on there)."
    )
    await look.execute("update {s}._private_sqla_workers set last_heartbeat_at = now() - interval '1 hour'")
    assert "which is dead and will be recovered" in str(await explain(door, job_id))


async def test_attempts_used_up(door: Door, look: Look) -> None:
    job_id = await add(look, attempts="25", last_error=r"E'KeyError: no order\nTraceback'")
    found = await explain(door, job_id)
    assert found.reasons == (AttemptsUsedUp(25, 25, "KeyError: no order"),)
    assert str(found) == "It has failed permanently, 25 of 25 attempts are used up: KeyError: no order"


async def test_due_later(door: Door, look: Look) -> None:
    await worker(look)
    job_id = await add(look, run_at="now() + interval '1 hour'", attempts="1")
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, DueLater)
    assert timedelta(minutes=59) < reason.due_in <= timedelta(hours=1)
    assert "It is due later, after attempt 1: at " in str(reason)


@pytest.mark.parametrize("run_at", ["infinity", "-infinity"])
async def test_times_that_python_has_not(door: Door, look: Look, run_at: str) -> None:
    await worker(look)
    job_id = await add(look, run_at=f"'{run_at}'")
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, DueLater if run_at == "infinity" else Waiting)
    assert str(reason)


@pytest.mark.parametrize("locked_at", ["infinity", "-infinity"])
async def test_a_job_that_is_locked_for_ever(door: Door, look: Look, locked_at: str) -> None:
    """By somebody who parks it, and its queue, by hand."""
    job_id = await add(look, queue="'mail'", locked_by="'ada'", locked_at=f"'{locked_at}'")
    waiting = await add(look, queue="'mail'")
    await look.execute(f"update {{s}}._private_job_queues set locked_by = 'ada', locked_at = '{locked_at}'")
    assert isinstance((await explain(door, job_id)).reasons[0], Running)
    assert isinstance((await explain(door, waiting)).reasons[0], QueueLocked)
    assert [job.id for job in (await door.ask("list_jobs", "state:locked")).jobs] == [job_id]
    assert [owner.locked_by for owner in await door.ask("list_lock_owners")] == ["ada"]
    assert [queue.locked_by for queue in await door.ask("list_queues")] == ["ada"]
    acted = await door.ask("act", Complete(), [job_id])
    assert (acted.done, len(acted.examples)) == ((0, 1) if locked_at == "infinity" else (1, 0))


async def test_queue_locked(door: Door, look: Look) -> None:
    await worker(look)
    job_id = await add(look, queue="'mail'")
    await look.execute("update {s}._private_job_queues set locked_by = 'pool-1', locked_at = '2026-01-01 12:00Z'")
    found = await explain(door, job_id)
    first, second = found.reasons
    assert isinstance(first, QueueLocked)
    assert first.worker is not None
    assert isinstance(second, Waiting)
    assert str(first) == "Its queue 'mail' is locked since 2026-01-01 12:00:00 UTC, by pool-1 (process 7 on there)."


async def test_nobody_knows_its_task(door: Door, look: Look) -> None:
    job_id = await add(look)
    assert (await explain(door, job_id)).reasons == (TaskUnknown("a", 0),)
    await worker(look, tasks=["b"])
    await worker(look, "pool-dead", silent="1 hour")
    found = await explain(door, job_id)
    assert found.reasons == (TaskUnknown("a", 1),)
    assert str(found).startswith("None of the 1 workers that live knows its task 'a'")


async def test_a_task_whose_row_is_gone(door: Door, look: Look) -> None:
    job_id = await add(look, task_id="0")
    await worker(look)
    assert str(await explain(door, job_id)).startswith("The row of its task is gone")


@pytest.mark.parametrize(
    ("flags", "settings", "is_taken"),
    [
        ('{"x": true}', {"forbidden_flags": ["x"]}, False),
        ('["x"]', {"forbidden_flags": ["x"]}, False),
        ('"x"', {"forbidden_flags": ["x"]}, False),
        ("7", {"forbidden_flags": ["x"]}, True),
        (None, {"forbidden_flags": ["x"]}, True),
        ('{"x": true, "y": true}', {"accepted_flags": ["y", "z"]}, True),
        ('{"x": true}', {"accepted_flags": ["y", "z"]}, False),
        (None, {"accepted_flags": ["y"]}, False),
        ('{"x": true}', {"flag_allowlist": ["x"]}, True),
        ('{"x": true, "y": true}', {"flag_allowlist": ["x"]}, False),
        (None, {"flag_allowlist": []}, True),
    ],
)
async def test_flags(door: Door, look: Look, flags: str | None, settings: Any, is_taken: bool) -> None:
    await worker(look, **settings)
    job_id = await add(look, flags_json=flags)
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, Waiting if is_taken else FlagsRefused)
    if not is_taken:
        assert "None of the 1 workers that know its task takes a job with" in str(reason)
        await worker(look, "pool-2")
        [reason] = (await explain(door, job_id)).reasons
        assert isinstance(reason, Waiting), "another takes it"


async def test_waiting_behind_others(door: Door, look: Look) -> None:
    await worker(look, concurrency=3)
    await worker(look, "pool-2", concurrency=5)
    ids = [await add(look) for _ in range(5)]
    await look.execute("update {s}._private_jobs set run_at = '2026-01-01'")
    late = await add(look, priority="9")
    await add(look, priority="-9", run_at="now() + interval '1 day'")
    await add(look, priority="-9", attempts="25")
    assert (await explain(door, ids[0])).reasons == (Waiting(Count(0), None, 2, 8),)
    assert str(await explain(door, ids[0])) == "It is ready and is next; 2 workers with 8 slots know its task."
    assert (await explain(door, ids[3])).reasons == (Waiting(Count(3), None, 2, 8),)
    assert (await explain(door, late)).reasons == (Waiting(Count(5), None, 2, 8),)
    found = await door.ask("explain_job", late, limits=ScanLimits(rows=2, timeout=timedelta(seconds=20)))
    assert found.reasons == (Waiting(Count(2, is_exact=False), None, 2, 8),)
    assert "waits behind 2+ other jobs" in str(found)


async def test_waiting_in_a_queue(door: Door, look: Look) -> None:
    """Jobs of other queues, and of locked ones, are not in its way."""
    await worker(look)
    await add(look)
    await add(look, queue="'other'")
    await add(look, queue="'mail'")
    job_id = await add(look, queue="'mail'")
    assert (await explain(door, job_id)).reasons == (Waiting(Count(1), "mail", 1, RunnerSettings().concurrency),)
    alone = await add(look)
    await look.execute(
        "update {s}._private_job_queues set locked_by = 'p', locked_at = now() where queue_name = 'other'"
    )
    [reason] = (await explain(door, alone)).reasons
    assert isinstance(reason, Waiting)
    assert reason.before == Count(3)


async def test_waiting_in_a_queue_without_a_name(door: Door, look: Look) -> None:
    """The empty one: PostgreSQL and Graphile Worker allow it."""
    await worker(look)
    await add(look)
    await add(look, queue="''")
    job_id = await add(look, queue="''")
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, Waiting)
    assert (reason.before, reason.queue_name) == (Count(1), "")
    assert await door.ask("count_jobs", 'queue:""') == Count(2)


async def test_several_reasons(door: Door, look: Look) -> None:
    job_id = await add(look, queue="'mail'", run_at="now() + interval '1 hour'")
    await look.execute("update {s}._private_job_queues set locked_by = 'pool-9', locked_at = now()")
    found = await explain(door, job_id)
    assert [type(reason) for reason in found.reasons] == [DueLater, QueueLocked, TaskUnknown]
    assert found.job is not None


async def snoozed(look: Look, job_id: int, number: int, reason: str | None = None) -> None:
    await look.execute(
        "insert into {s}._private_sqla_snoozes (job_id, snoozes, last_at, reason) values ($1, $2, '2026-01-01Z', $3)",
        job_id,
        number,
        reason,
    )


async def test_snoozes(door: Door, look: Look) -> None:
    """Beside every reason, not only that it is due later."""
    await worker(look)
    once, often, never = [await add(look) for _ in range(3)]
    await look.execute(f"update {{s}}._private_jobs set run_at = now() + interval '1 hour' where id = {once}")
    await snoozed(look, once, 1)
    await snoozed(look, often, 1234, "no report yet")
    found = await explain(door, once)
    assert isinstance(found.reasons[0], DueLater)
    assert found.snoozes == Snoozes(1, datetime(2026, 1, 1, tzinfo=UTC), None)
    assert str(found).endswith(" It was snoozed once at 2026-01-01 00:00:00 UTC.")
    found = await explain(door, often)
    assert isinstance(found.reasons[0], Waiting)
    assert str(found).endswith(" It was snoozed 1,234 times, last at 2026-01-01 00:00:00 UTC: no report yet")
    assert (await explain(door, never)).snoozes is None


async def test_snoozes_of_a_schema_before_them(door: Door, look: Look) -> None:
    job_id = await add(look)
    await snoozed(look, job_id, 1)
    await look.execute("alter table {s}._private_sqla_snoozes rename to elsewhere")
    try:
        assert (await explain(door, job_id)).snoozes is None
    finally:
        await look.execute("alter table {s}.elsewhere rename to _private_sqla_snoozes")


async def test_a_schema_without_a_register(door: Door, look: Look) -> None:
    """As a peer makes it."""
    job_id = await add(look)
    await look.execute("alter table {s}._private_sqla_workers rename to elsewhere")
    try:
        assert (await explain(door, job_id)).reasons == (TaskUnknown("a", 0),)
        assert await door.ask("list_workers") == []
    finally:
        await look.execute("alter table {s}.elsewhere rename to _private_sqla_workers")


@pytest.mark.parametrize(
    ("pause", "told"),
    [
        ({"everything": True}, "Everything is paused since"),
        ({"task": "a", "reason": "bad deploy", "paused_by": "ada"}, "Its task 'a' is paused since"),
        ({"queue_name": "mail"}, "Its queue 'mail' is paused since"),
        ({"queue_name": "mail", "until": datetime(2100, 1, 1, tzinfo=UTC)}, "until 2100-01-01 00:00:00 UTC;"),
    ],
)
async def test_paused(door: Door, look: Look, pause: Any, told: str) -> None:
    await worker(look)
    job_id = await add(look, queue="'mail'")
    other = await look.value("select id from {s}.add_job('b')")
    await door.ask("pause", **pause)
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, Paused)
    assert told in str(reason)
    if "reason" in pause:
        assert "until somebody resumes it, by ada (bad deploy); workers of Node.js" in str(reason)
    found = await explain(door, other)
    assert any(isinstance(one, Paused) for one in found.reasons) is ("everything" in pause)
    await door.ask("resume", everything=True)
    [reason] = (await explain(door, job_id)).reasons
    assert isinstance(reason, Waiting)
