"""Jobs that are held by row locks alone: what ends in time is never leased, all else is an ordinary leased run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    Runner,
    RunnerSettings,
    Snooze,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.errors import ConfigurationError
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob
from tests.worker.held import HOLDING, free_jobs, holds, one
from tests.worker.refusals import NOT_DELETED, trigger

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

SOON = replace(HOLDING, lease_after=timedelta(milliseconds=50))
STATE = "attempts, locked_by is not null as is_leased, locked_at is not null, last_error"
OPEN = """select count(*) from graphile_worker._private_jobs j
join pg_stat_activity a on a.xact_start = j.locked_at"""
"""Of transactions that have claimed a job."""


@pytest.mark.parametrize("value", [timedelta(0), timedelta(seconds=11), 0.1])
def test_bad_values(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="lease_after"):
        RunnerSettings(lease_after=value)


async def test_a_short_job_is_never_leased(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """While it runs nobody can lock it, nor the next one of its queue; the hold's row names it. Then all is gone."""
    seen: list[Any] = []

    @tasks.task("look")
    async def look(ctx: JobContext) -> None:
        seen.append((*await one_of(sessions, ctx.job.id), ctx.job.attempts))
        seen.append(await holds(sessions))
        seen.append(await free_jobs(sessions))

    job = await add_job(look, queue_name="lane")
    other = await add_job("somebody_elses")
    assert (await Runner(engine, tasks, HOLDING, observers=[recorder]).run_once()).completed == 1
    assert seen == [(0, False, False, None, 1), [[job.id]], [other.id]]
    assert await holds(sessions) == []
    assert await locks(sessions) == (0, 0)
    assert (await one(sessions, "id, attempts")) == (other.id, 0)
    assert [outcome.job.id for outcome in recorder.completed] == [job.id]


async def one_of(sessions: Sessions, job_id: int) -> Any:
    async with sessions() as session:
        return (
            await session.execute(
                text(f"select {STATE} from graphile_worker._private_jobs where id = :id"), {"id": job_id}
            )
        ).one()


async def test_a_long_job_gets_its_lease_and_no_transaction_stays_open(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    go_on = anyio.Event()

    @tasks.task("long")
    async def long() -> None:
        await go_on.wait()

    @tasks.task("short")
    async def short() -> None: ...

    await add_job(long, queue_name="lane")
    await add_job(short)
    async with Runner(
        engine, tasks, replace(SOON, heartbeat_interval=timedelta(milliseconds=20)), observers=[recorder]
    ):
        await recorder.until(lambda: recorder.completed)  # the short one: with the commit that leases the other
        assert await one(sessions, STATE) == (1, True, True, None)
        assert await locks(sessions) == (1, 1)
        assert await holds(sessions) == []
        async with sessions() as session:
            assert await session.scalar(text(OPEN)) == 0
        await anyio.sleep(0.1)  # beats find its lock
        assert not recorder.lost
        go_on.set()
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert await locks(sessions) == (0, 0)


async def test_other_outcomes_go_the_usual_way(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("no")

    @tasks.task("snooze")
    async def snooze() -> None:
        raise Snooze(timedelta(hours=1))

    @tasks.task("note")
    async def note() -> None: ...

    await add_job(fail, queue_name="lane", max_attempts=2)
    await add_job(fail, max_attempts=1)
    await add_job(snooze)
    await add_job(note)
    counts = await Runner(engine, tasks, HOLDING, observers=[recorder]).run_once()
    assert (counts.completed, counts.failed, counts.snoozed) == (1, 2, 1)
    async with sessions() as session:
        rows = (
            await session.execute(text("select attempts, last_error from graphile_worker._private_jobs order by id"))
        ).all()
    assert [tuple(row) for row in rows] == [(1, "ValueError: no")] * 2 + [(0, None)]
    assert await locks(sessions) == (0, 0)


async def test_failed_items_of_a_batch(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> list[Exception | None]:
        return [ValueError(str(item)) if item > 1 else None for item in payload]

    await add_job(batch, [1, 2, 3])
    assert (await Runner(engine, tasks, HOLDING).run_once()).failed == 1
    assert await one(sessions, "attempts, payload") == (1, [2, 3])


async def test_a_stop_gives_back_what_was_not_begun(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """What runs goes on, and is completed; the prefetched job was only locked, and is free with its attempt."""

    @tasks.task("wait")
    async def wait(ctx: JobContext) -> None:
        await ctx.stopping.wait()

    settings = replace(HOLDING, concurrency=1, prefetch=5)
    await add_job(wait)
    left = await add_job(wait)
    runner = Runner(engine, tasks, settings, observers=[recorder])
    async with runner:
        await recorder.until(lambda: recorder.started)
        assert await free_jobs(sessions) == []
    assert await one(sessions, "id, attempts, locked_by") == (left.id, 0, None)
    assert len(recorder.completed) == len(recorder.returned) == 1
    assert await holds(sessions) == []


async def test_a_job_that_is_cut_off_at_the_end_has_failed(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("wait")
    async def wait() -> None:
        await anyio.sleep_forever()

    await add_job(wait)
    async with Runner(engine, tasks, replace(HOLDING, grace_period=timedelta(0)), observers=[recorder]):
        await recorder.until(lambda: recorder.started)
    assert await one(sessions, STATE) == (1, False, False, "the worker was shut down before the job ended")


async def test_many_jobs_and_queues_once_each(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository
) -> None:
    """Both holds take turns; of a queue one job runs at a time."""
    ran: list[int] = []
    busy: set[str | None] = set()

    @tasks.task("note")
    async def note(payload: int, ctx: JobContext) -> None:
        queue = ctx.job.queue_name
        assert queue is None or queue not in busy
        busy.add(queue)
        await anyio.lowlevel.checkpoint()
        busy.discard(queue)
        ran.append(payload)

    async with sessions.begin() as session:
        await repo.add_jobs(
            session,
            [note.spec(number, queue_name=f"q{number % 7}" if number % 3 == 0 else None) for number in range(300)],
        )
    counts = await Runner(engine, tasks, replace(HOLDING, prefetch=40)).run_once()
    assert counts.completed == 300
    assert sorted(ran) == list(range(300))
    assert await holds(sessions) == []


async def test_forbidden_flags_are_left_alone(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    left = await add_job(note, flags=["a"])
    assert (await Runner(engine, tasks, replace(HOLDING, forbidden_flags=["a"])).run_once()).completed == 1
    assert (await one(sessions, "id")).id == left.id


async def test_a_row_that_is_refused_holds_up_no_other(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """All are leased then, and the finisher puts the refused one aside."""

    @tasks.task("note")
    async def note() -> None: ...

    for priority in (0, 7, 8):
        await add_job(note, priority=priority)
    async with trigger(sessions, NOT_DELETED):
        settings = replace(HOLDING, flush_timeout=timedelta(milliseconds=300))
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await recorder.until(lambda: len(recorder.completed) == 2)
            assert await one(sessions, "priority, attempts, locked_by is not null") == (7, 1, True)
    assert await holds(sessions) == []


async def test_a_lease_that_is_refused_holds_up_no_other_for_long(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None:
        await anyio.sleep(0.2)

    for priority in (0, 7, 8):
        await add_job(note, priority=priority)
    no_lease = "if new.priority = 7 and new.locked_by is not null then raise exception 'no'; end if;"
    async with trigger(sessions, no_lease), Runner(engine, tasks, SOON, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert await one(sessions, "priority, locked_by") == (7, None)


async def test_a_deferred_constraint_holds_up_no_other(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    kept = await add_job(note)
    await add_job(note)
    async with sessions.begin() as session:
        await session.execute(
            text(
                "create table kept_jobs (id bigint references graphile_worker._private_jobs (id) "
                "deferrable initially deferred)"
            )
        )
        await session.execute(text("insert into kept_jobs values (:id)"), {"id": kept.id})
    try:
        settings = replace(HOLDING, flush_timeout=timedelta(milliseconds=300))
        async with Runner(engine, tasks, settings, observers=[recorder]):
            await recorder.until(lambda: recorder.completed)
            assert await one(sessions, "id, attempts, locked_by is not null") == (kept.id, 1, True)
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop table kept_jobs"))


async def test_two_workers_share_a_queue_in_turn(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, repo: JobRepository
) -> None:
    running: list[int] = []
    most: list[int] = []

    @tasks.task("note")
    async def note(payload: int) -> None:
        running.append(payload)
        most.append(len(running))
        await anyio.sleep(0.001)
        running.remove(payload)

    async with sessions.begin() as session:
        await repo.add_jobs(session, [note.spec(number, queue_name="lane") for number in range(40)])
    leasing = replace(HOLDING, lease_after=None)
    async with (
        Runner(engine, tasks, HOLDING, observers=[recorder]),
        Runner(engine, tasks, leasing, observers=[recorder]),
    ):
        await recorder.until(lambda: len(recorder.completed) == 40)
    assert max(most) == 1


async def test_an_idle_worker_writes_leases_and_keeps_no_connection_for_holds(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    seen: list[bool] = []

    @tasks.task("look")
    async def look(ctx: JobContext) -> None:
        seen.append((await one_of(sessions, ctx.job.id)).is_leased)

    async with Runner(engine, tasks, HOLDING, observers=[recorder]):
        await anyio.sleep(0.2)  # it polls, and finds nothing
        await add_job(look)
        await recorder.until(lambda: recorder.completed)
    assert seen == [True]


async def test_behind_a_pooler(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    seen: list[bool] = []

    @tasks.task("look")
    async def look(ctx: JobContext) -> None:
        seen.append((await one_of(sessions, ctx.job.id)).is_leased)

    await add_job(look)
    assert (await Runner(engine, tasks, replace(HOLDING, transaction_pooler=True)).run_once()).completed == 1
    assert seen == [False]
    assert await holds(sessions) == []
