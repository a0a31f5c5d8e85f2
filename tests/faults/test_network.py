"""Faults of the network between a worker and its database: it goes on, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    JobRepository,
    JobState,
    Runner,
    TaskRegistry,
)
from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.database.worker_connection import WorkerConnection
from tests.faults.conftest import JOBS, SETTINGS, Sessions, assert_nothing_is_left
from tests.schema.roles import Role, temporary_role
from tests.support.log import Log
from tests.support.proxy import Proxy
from tests.support.recorder import Recorder
from tests.support.server import Server
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

CLAIMS_WAIT = [
    """create function wait_for_4711() returns trigger language plpgsql as $$ begin
  perform pg_advisory_xact_lock_shared(4711); return new; end $$""",
    """create trigger wait_for_4711 before update on graphile_worker._private_jobs for each row
when (old.locked_by is null and new.locked_by is not null) execute function wait_for_4711()""",
]
CLAIM_THAT_WAITS = "select min(pid) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
DELETIONS_WAIT = [  # without a lock, whose timeout would end it
    """create function wait_for_4711() returns trigger language plpgsql as $$ begin
  while not pg_try_advisory_xact_lock_shared(4711) loop perform pg_sleep(0.01); end loop; return old; end $$""",
    """create trigger wait_for_4711 before delete on graphile_worker._private_jobs for each row
execute function wait_for_4711()""",
]
DELETION_THAT_WAITS = """select exists (select from pg_stat_activity
where datname = current_database() and wait_event = 'PgSleep')"""
OTHERS_AT_WORK = """select exists (select from pg_stat_activity
where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid())"""


async def fetch_in_vain(connection: WorkerConnection, sql: str) -> None:
    with pytest.raises(DATABASE_FAULTS):
        await connection.fetch(text(sql), {})


@pytest.mark.parametrize("fault", ["cut", "half-closed to the worker", "half-closed to the server"])
async def test_connections_that_end_again_and_again(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    proxy: Proxy,
    ran: list[int],
    fault: str,
) -> None:
    async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
        for round_ in range(1, 5):
            await recorder.until(lambda least=round_ * 50: len(set(ran)) >= least)  # type: ignore[misc]
            if fault == "cut":
                proxy.cut()
            else:
                proxy.half_close(to="client" if fault.endswith("worker") else "server")
        await recorder.until(lambda: len(set(ran)) == JOBS, seconds=60)
    await assert_nothing_is_left(sessions, repo)
    assert recorder.lost == []


@pytest.mark.parametrize("then", ["go on", "stop"])
async def test_a_claim_that_the_server_ends_after_its_connection(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    add_job: AddJob,
    proxy: Proxy,
    log: Log,
    then: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker has another by then, and has released what it knows of: nothing may stay locked in its name."""
    if then == "stop":
        for module in ("claimer", "orphaned_locks"):
            monkeypatch.setattr(f"gw_sqla.worker.{module}._END_SECONDS", 0.5)

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        for sql in CLAIMS_WAIT:
            await session.execute(text(sql))
    try:
        async with sessions.begin() as held:
            await held.execute(text("select pg_advisory_xact_lock(4711)"))
            await add_job(note)
            async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]) as runner:
                with anyio.fail_after(20):
                    while not (claim := await held.scalar(text(CLAIM_THAT_WAITS))):  # noqa: ASYNC110 - of the server
                        await anyio.sleep(0.01)
                if then == "stop":
                    runner.stop()
                proxy.cut()
                if then == "go on":
                    with anyio.fail_after(20):  # the next claim has come, or waits itself
                        while not log.with_text("claiming jobs works again"):
                            if await held.scalar(text(CLAIM_THAT_WAITS)) not in (claim, None):
                                break
                    await held.rollback()
                    await recorder.until(lambda: recorder.completed)
        async with sessions() as session:
            with anyio.fail_after(20):
                while await session.scalar(text(OTHERS_AT_WORK)):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
            locked = "select count(*) from graphile_worker._private_jobs where locked_by is not null"
            assert await session.scalar(text(locked)) == 0
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop function wait_for_4711 cascade"))
    assert recorder.lost == []


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[Role]:
    """A role without rights."""
    with temporary_role(server, clean_database) as role:
        yield role


async def test_a_backend_that_cannot_be_seen_is_not_taken_for_ended(
    sessions: Sessions, proxy: Proxy, role: Role
) -> None:
    """A session that has taken on a role sees the process id of its own backend, and no more."""
    connection = WorkerConnection(role.engine(proxy.url), settings="", ends_backends=True)
    async with sessions.begin() as held:
        await held.execute(text("select pg_advisory_xact_lock(4711)"))
        async with anyio.create_task_group() as group:
            group.start_soon(fetch_in_vain, connection, "select pg_advisory_xact_lock(4711)")
            with anyio.fail_after(20):
                while not await held.scalar(text(CLAIM_THAT_WAITS)):  # noqa: ASYNC110 - of the server
                    await anyio.sleep(0.01)
            proxy.cut()
        assert not await connection.lost_have_ended()
    with anyio.fail_after(20):
        while not await connection.lost_have_ended():
            pass
    await connection.close()


async def test_a_write_that_the_server_ends_after_its_connection(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    add_job: AddJob,
    proxy: Proxy,
    log: Log,
) -> None:
    """The next try finds the row locked by the first; that it is gone then does not say that the lock was lost."""

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        for sql in DELETIONS_WAIT:
            await session.execute(text(sql))
    try:
        async with sessions.begin() as held:
            await held.execute(text("select pg_advisory_xact_lock(4711)"))
            await add_job(note)
            async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
                async with sessions() as session:
                    with anyio.fail_after(20):
                        while not await session.scalar(text(DELETION_THAT_WAITS)):
                            await session.rollback()  # a transaction sees one state of the server
                            await anyio.sleep(0.01)
                proxy.cut()
                await log.until(lambda: log.with_text("another transaction has locked it"))
                await held.rollback()
                await recorder.until(lambda: recorder.completed or recorder.lost)
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop function wait_for_4711 cascade"))
    assert (len(recorder.completed), recorder.lost) == (1, [])


async def test_slow_network(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    proxy: Proxy,
    ran: list[int],
    log: Log,
) -> None:
    proxy.delay = 0.02
    async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
        await recorder.until(lambda: len(ran) >= 40, seconds=60)
    assert len(set(ran)) == len(ran)  # slow is not lost: nothing was run twice
    async with sessions() as session:
        counts = await repo.count_jobs_by_state(session)
    assert counts[JobState.LOCKED] == 0
    assert counts[JobState.READY] == JOBS - len(ran)
    assert log.lines == []


async def test_failover_is_waited_out_and_said_once(
    far_engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    proxy: Proxy,
    ran: list[int],
    log: Log,
) -> None:
    async with Runner(far_engine, tasks, SETTINGS, observers=[recorder]):
        await recorder.until(lambda: len(ran) >= 50)
        proxy.refuse()
        await log.until(lambda: log.about("claiming jobs") or log.about("writing what became of jobs"))
        await anyio.sleep(4)  # how long the failover takes
        proxy.listen()
        await recorder.until(lambda: len(set(ran)) == JOBS, seconds=60)
        await log.until(lambda: len(log.about("listening for new jobs")) == 2)
    await assert_nothing_is_left(sessions, repo)
    assert recorder.lost == []
    log.assert_said_once("listening for new jobs")
    for doing in ("claiming jobs", "writing what became of jobs"):
        if log.about(doing):  # this part may have had nothing to do meanwhile
            log.assert_said_once(doing)
