"""Prefetched jobs: claimed ahead in one statement, run in order, returned when they are not begun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, Runner, RunnerSettings, TaskRegistry, async_sessionmaker
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Outcome
from gw_sqla.jobs.run import Run
from gw_sqla.models import Job
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease, lease_clock
from gw_sqla.worker.local_queue import LocalQueue
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.stop_request import StopRequest
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
ONE_SLOT = RunnerSettings(concurrency=1, prefetch=4)
NOTE_CLAIMS = (
    "create table claims (locked_at timestamptz)",
    "create function note_claim() returns trigger language plpgsql as "
    "$$ begin insert into public.claims values (new.locked_at); return null; end $$",
    "create trigger note_claim after update of locked_at on graphile_worker._private_jobs "
    "for each row execute function note_claim()",
)


def a_run(number: int) -> Run:
    return Run(ClaimedJob(number, "note", "{}", None, 0, datetime.now(UTC), 1, 25, None, None, 0, None))


async def run_forever(run: Run) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError(run)


async def counts(sessions: Sessions) -> tuple[int, int]:
    """Return how many jobs are locked, and the sum of all attempts."""
    async with sessions() as session:
        row = (await session.execute(select(func.count(Job.locked_at), func.sum(Job.attempts)))).one()
        return row[0], row[1]


async def test_one_claim_is_for_the_slots_and_the_prefetch(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    locked = []

    @tasks.task("note")
    async def note() -> None:
        locked.append((await counts(sessions))[0])

    for _ in range(8):
        await add_job(note)
    assert (await Runner(engine, tasks, ONE_SLOT).run_once()).completed == 8
    assert locked[0] == 5


async def test_order_is_kept(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    seen = []

    @tasks.task("note")
    async def note(payload: int) -> None:
        seen.append(payload)

    for priority in (3, 1, 4, 2, 5):
        await add_job(note, priority, priority=priority)
    await Runner(engine, tasks, ONE_SLOT).run_once()
    assert seen == [1, 2, 3, 4, 5]


async def test_a_stop_returns_what_was_not_begun(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note(ctx: JobContext) -> None:
        await ctx.stopping.wait()

    for _ in range(5):
        await add_job(note)
    async with Runner(engine, tasks, ONE_SLOT, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
    assert (len(recorder.completed), len(recorder.returned)) == (1, 4)
    assert await counts(sessions) == (0, 0)


async def test_a_cancellation_returns_what_was_not_begun(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note() -> None:
        await anyio.sleep_forever()

    for _ in range(5):
        await add_job(note)
    async with anyio.create_task_group() as task_group:
        await task_group.start(Runner(engine, tasks, ONE_SLOT, observers=[recorder]).run)
        await recorder.until(lambda: recorder.started)
        task_group.cancel_scope.cancel()
    assert (len(recorder.failed), len(recorder.returned)) == (1, 4)
    assert await counts(sessions) == (0, 1)


async def test_what_waits_too_long_is_for_other_workers(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    release = anyio.Event()
    held_up = RunnerSettings(concurrency=1, prefetch=4, prefetch_ttl=timedelta(milliseconds=200))
    other = TaskRegistry()

    @tasks.task("note")
    async def note() -> None:
        await release.wait()

    @other.task("note")
    async def quick() -> None: ...

    for _ in range(5):
        await add_job(note)
    async with Runner(engine, tasks, held_up, observers=[recorder]):
        await recorder.until(lambda: recorder.started and len(recorder.returned) >= 4)
        assert (await Runner(engine, other).run_once()).completed == 4
        again = await add_job(note)
        release.set()
        await recorder.until(lambda: len(recorder.completed) == 2)
    assert recorder.completed[1].job.id == again.id


async def test_jobs_that_never_wait_leave_turns_to_the_event_loop(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    turns = 0
    seen = set()

    @tasks.task("busy")
    async def busy() -> None:
        end = monotonic() + 0.003
        while monotonic() < end:
            pass
        seen.add(turns)

    for _ in range(20):
        await add_job(busy)
    async with anyio.create_task_group() as task_group:

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        task_group.start_soon(take_turns)
        await Runner(engine, tasks, RunnerSettings(concurrency=1, prefetch=50)).run_once()
        task_group.cancel_scope.cancel()
    assert len(seen) >= 10  # trio runs those that are ready in any order: two jobs may share a turn


async def test_jobs_that_never_wait_are_claimed_for_all_slots_at_once(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for the first slot that is free, and then the others."""
    monkeypatch.setattr("gw_sqla.worker.slots._TURN", 60)

    @tasks.task("note")
    async def note() -> None: ...

    for _ in range(12):
        await add_job(note)
    async with sessions.begin() as session:
        for statement in NOTE_CLAIMS:
            await session.execute(text(statement))
    await Runner(engine, tasks, RunnerSettings(concurrency=4)).run_once()
    async with sessions.begin() as session:
        sizes = await session.scalars(text("select count(*) from claims group by locked_at"))
        await session.execute(text("drop table claims"))
        await session.execute(text("drop function note_claim cascade"))
    assert list(sizes) == [4, 4, 4]


async def test_every_slot_begins_when_handlers_wait(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    release = anyio.Event()

    @tasks.task("note")
    async def note() -> None:
        await release.wait()

    for _ in range(12):
        await add_job(note)
    async with Runner(engine, tasks, RunnerSettings(concurrency=9), observers=[recorder]):
        await recorder.until(lambda: len(recorder.started) == 9)
        release.set()
        await recorder.until(lambda: len(recorder.completed) == 12)


@pytest.mark.parametrize(
    ("prefetch", "held", "wanted"),
    [(0, 0, 2), (0, 1, 1), (0, 2, 0), (8, 0, 10), (8, 8, 2), (8, 9, 0)],
)
async def test_how_many_are_wanted(prefetch: int, held: int, wanted: int) -> None:
    """Two slots; what does not run waits, and no claim is due for less than a quarter of the prefetch."""
    lease = Lease()
    lease.grant(lease_clock(), 60)
    slots = Slots(
        2,
        LocalQueue(2, prefetch, timedelta(minutes=1)),
        execute=run_forever,
        finish=list[Run]().append,
        superseded=list[Run]().append,
        known=KnownRuns(),
        lease=lease,
        on_free=lambda: False,
        stop=StopRequest(),
    )
    async with anyio.create_task_group() as task_group:
        slots.start(task_group)
        await anyio.wait_all_tasks_blocked()
        slots.give([a_run(number) for number in range(held)])
        await anyio.wait_all_tasks_blocked()
        assert slots.wanted() == wanted
        task_group.cancel_scope.cancel()
