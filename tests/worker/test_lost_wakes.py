"""A lost lock wakes the claimer, which releases what it has left; what wakes it meanwhile is not forgotten."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, TaskRegistry, async_sessionmaker
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

UNLOCKING_WAITS = [  # without a lock, whose timeout would end it
    """create function wait_for_4712() returns trigger language plpgsql as $$ begin
  while not pg_try_advisory_xact_lock_shared(4712) loop perform pg_sleep(0.01); end loop; return new; end $$""",
    """create trigger wait_for_4712 before update on graphile_worker._private_job_queues for each row
when (new.locked_by is null) execute function wait_for_4712()""",
]
WAITS = """select exists (select from pg_stat_activity
where datname = current_database() and wait_event = 'PgSleep')"""


async def test_a_slot_that_is_freed_meanwhile_is_given_a_job(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """The only slot is in a thread whose job was deleted; as the thread ends, the job's queue is being unlocked."""
    go_on = threading.Event()

    @tasks.task("work")
    def work() -> None:
        go_on.wait(60)

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        for sql in UNLOCKING_WAITS:
            await session.execute(text(sql))
    settings = replace(ONLY_NOTIFIED, concurrency=1, heartbeat_interval=timedelta(milliseconds=50))
    try:
        async with Runner(engine, tasks, settings, observers=[recorder]), sessions() as held, sessions() as looking:
            job = await add_job(work, queue_name="q")
            await recorder.until(lambda: recorder.started)
            await add_job(note)
            await held.execute(text("select pg_advisory_xact_lock(4712)"))
            async with sessions.begin() as session:
                await session.execute(text(f"delete from graphile_worker._private_jobs where id = {job.id}"))
            with anyio.fail_after(20):
                while not await looking.scalar(text(WAITS)):
                    await looking.rollback()  # a transaction sees one state of the server
                    await anyio.sleep(0.01)
            go_on.set()
            await anyio.sleep(0.3)  # for the slot to be free; if it takes longer, nothing is tested
            await held.rollback()
            with anyio.fail_after(10):
                await recorder.until(lambda: recorder.completed)
    finally:
        go_on.set()
        async with sessions.begin() as session:
            await session.execute(text("drop function wait_for_4712 cascade"))


async def test_what_a_lost_lock_leaves_is_released_at_once(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    """The job's attempts were changed while it ran: the write calls its lock lost, and nothing else wakes anybody."""
    release = anyio.Event()

    @tasks.task("hold")
    async def hold() -> None:
        await release.wait()

    settings = replace(ONLY_NOTIFIED, heartbeat_interval=timedelta(hours=1), heartbeat_threshold=timedelta(hours=4))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await add_job(hold)
        await recorder.until(lambda: recorder.started)
        async with sessions.begin() as session:
            later = "run_at = now() + interval '1 hour'"
            await session.execute(text(f"update graphile_worker._private_jobs set attempts = attempts + 5, {later}"))
        release.set()
        await recorder.until(lambda: recorder.lost)
        with anyio.fail_after(20):
            while await locks(sessions) != (0, 0):  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
