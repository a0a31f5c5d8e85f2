"""The connection dies while the commit of a transactional task is under way: the server decides, the worker asks it."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, Runner, TaskRegistry, async_sessionmaker
from tests.execution.conftest import WRITE, Effects, Jobs, effects, jobs
from tests.support.proxy import Proxy
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

__all__ = ["effects", "jobs"]

pytestmark = pytest.mark.anyio

SLOW_COMMIT = [
    """create function wait_for_4714() returns trigger language plpgsql as $$ begin
  perform pg_advisory_xact_lock_shared(4714); return null; end $$""",
    """create constraint trigger wait_for_4714 after insert on effects deferrable initially deferred
for each row execute function wait_for_4714()""",
]
WAITING = """select min(pid) from pg_locks
where locktype = 'advisory' and objid = 4714 and not granted"""


@pytest.mark.parametrize("is_committed", [False, True])
async def test_what_the_server_decided_holds(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    sessions: async_sessionmaker[AsyncSession],
    effects: Effects,
    jobs: Jobs,
    recorder: Recorder,
    proxy: Proxy,
    is_committed: bool,
) -> None:
    handled = []

    @tasks.task("write", transactional=True)
    async def write(session: AsyncSession) -> None:
        handled.append(await session.scalar(text("select pg_backend_pid()")))
        await session.execute(WRITE, {"note": "written"})

    async with sessions.begin() as session:
        for sql in SLOW_COMMIT:
            await session.execute(text(sql))
    try:
        async with Runner(far_engine, tasks, observers=[recorder]):
            async with sessions.begin() as held:
                await held.execute(text("select pg_advisory_xact_lock(4714)"))
                await add_job(write)
                with anyio.fail_after(20):
                    while not (pid := await held.scalar(text(WAITING))):  # noqa: ASYNC110 - of the server
                        await anyio.sleep(0.01)
                proxy.cut()
                if not is_committed:
                    await held.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
            await recorder.until(lambda: recorder.completed or recorder.failed)
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop function wait_for_4714 cascade"))
    assert len(handled) == 1
    assert (len(recorder.completed), len(recorder.failed), recorder.lost) == (is_committed, not is_committed, [])
    assert await effects() == (["written"] if is_committed else [])
    assert len(await jobs()) == (not is_committed)
