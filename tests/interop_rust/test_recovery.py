"""Our recovery beside Rust's: who beats keeps its jobs, the jobs of the dead run once more, no row is left."""

from __future__ import annotations

from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import Runner, RunnerSettings, TaskRegistry
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.worker.registration import BEAT_SETTINGS, Registration
from gw_sqla.worker.rust_tables import RustWorkers
from tests.interop.conftest import AddJob, Fetch
from tests.interop.peer_worker import PeerWorker
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import start_worker
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

THRESHOLD = 2000
SWEEPING = {"heartbeat": 100, "sweep": 50, "threshold": THRESHOLD, "delay": 0}
QUICK = RunnerSettings(
    poll_interval=timedelta(milliseconds=20),
    heartbeat_interval=timedelta(milliseconds=100),
    heartbeat_threshold=timedelta(milliseconds=THRESHOLD),
    sweep_interval=timedelta(milliseconds=50),
    recovery_delay=timedelta(0),
)
LOCKED = "select locked_by from graphile_worker._private_jobs where locked_by is not null"
TAKE = """update graphile_worker._private_jobs
set locked_by = $1, locked_at = now() - interval '1 minute', attempts = attempts + 1 returning id"""
REGISTERED = """
    select pool_id as id from graphile_worker._private_sqla_workers
    union all select id from graphile_worker._private_workers
"""


async def until(fetch: Fetch, sql: str) -> None:
    """Wait until the query has a row."""
    with anyio.fail_after(20):
        while not await fetch(sql):
            await anyio.lowlevel.checkpoint()


async def test_who_beats_keeps_its_jobs(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    """Both have a job for longer than the threshold of both, and sweep all the time."""
    permit = anyio.Event()

    @tasks.task("ours")
    async def ours() -> None:
        await permit.wait()

    await add_job("ours", queue_name="q")
    await add_job("wait", queue_name="p")
    async with start_worker(environment, ["wait"], recovery=SWEEPING) as rust:
        await rust.until(lambda: rust.started)
        async with Runner(engine, tasks, QUICK, observers=[recorder]):
            await recorder.until(lambda: recorder.started)
            await anyio.sleep(1.5 * THRESHOLD / 1000)
            assert len(await fetch(LOCKED)) == 2
            permit.set()
            await recorder.until(lambda: recorder.completed)
        await rust.go()
        await rust.stop()
    assert (len(recorder.started), len(rust.started), recorder.lost) == (1, 1, [])
    assert await fetch("select from graphile_worker._private_jobs") == []
    assert await fetch(REGISTERED) == []


async def test_a_dead_pool_of_ours_is_recovered_once(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    """By ours or by Rust's, whichever sweeps first; its job runs once more, and its rows are gone from both tables."""

    @tasks.task("pass")
    async def run() -> None: ...

    job = await add_job("pass", queue_name="q")
    dead = Registration(
        WorkerConnection(engine, BEAT_SETTINGS),
        "graphile_worker",
        "pool-dead",
        RustWorkers("graphile_worker"),
        threshold=timedelta(milliseconds=THRESHOLD),
        metadata="{}",
    )
    await dead.register()
    await dead.beat([])
    await dead.close()
    await fetch(TAKE, "pool-dead")
    await fetch("update graphile_worker._private_job_queues set locked_by = 'pool-dead', locked_at = now()")
    assert [row["id"] for row in await fetch(REGISTERED)] == ["pool-dead", "pool-dead"]
    async with (
        start_worker(environment, ["pass"], recovery=SWEEPING) as rust,
        Runner(engine, tasks, QUICK, observers=[recorder]),
    ):
        await until(fetch, "select where not exists (select from graphile_worker._private_jobs)")
        await until(fetch, f"select where 'pool-dead' not in ({REGISTERED})")
        await rust.stop()
    assert [*(job["id"] for job in rust.started), *(job.id for job in recorder.started)] == [job.id]


async def test_a_killed_rust_worker_is_recovered_by_rust_and_its_job_run_by_us(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    environment: Environment,
    fetch: Fetch,
) -> None:
    @tasks.task("wait")
    async def wait() -> None: ...

    await add_job("wait", queue_name="q")
    async with start_worker(environment, ["wait"], recovery=SWEEPING) as killed:
        await killed.until(lambda: killed.started)
        killed.kill()
        async with Runner(engine, tasks, QUICK, observers=[recorder]):
            await anyio.sleep(1.5 * THRESHOLD / 1000)
            assert len(await fetch(LOCKED)) == 1  # our recovery is of our pools
            async with start_worker(environment, ["pass"], recovery=SWEEPING) as sweeper:
                await recorder.until(lambda: recorder.completed)
                await sweeper.stop()
    assert [outcome.job.attempts for outcome in recorder.completed] == [1]  # it has given back the attempt
    assert await fetch(REGISTERED) == []


@pytest.mark.parametrize("row", ["no row", "a row that beats more slowly"])
async def test_rust_takes_the_jobs_of_pools_that_do_not_beat_as_it_wants(
    add_job: AddJob, environment: Environment, fetch: Fetch, row: str
) -> None:
    """As docs/with-node-and-rust.md says: also the attempt is given back, so a poison job does not reach its limit."""
    await add_job("ours", max_attempts=1)
    await fetch(TAKE, "pool-alive")
    if row != "no row":
        await fetch(
            "insert into graphile_worker._private_workers (id, last_heartbeat_at) "
            "values ('pool-alive', now() - interval '15 seconds')"
        )
    async with start_worker(environment, ["pass"], recovery=SWEEPING) as rust:
        await until(fetch, "select from graphile_worker._private_jobs where locked_by is null")
        await rust.stop()
    [job] = await fetch("select attempts, last_error, is_available from graphile_worker._private_jobs")
    assert tuple(job) == (0, "Job recovered after worker interruption", True)


async def test_without_recovery_rust_takes_nothing(add_job: AddJob, environment: Environment, fetch: Fetch) -> None:
    """As it is unless it is switched on: then the table of workers stays empty."""
    await add_job("ours")
    await fetch(TAKE, "pool-alive")
    async with start_worker(environment, ["pass"]) as rust:
        await probe(rust, add_job)
        await rust.stop()
    assert [row["locked_by"] for row in await fetch(LOCKED)] == ["pool-alive"]
    assert await fetch(REGISTERED) == []


async def probe(rust: PeerWorker, add_job: AddJob) -> None:
    """Wait until Rust has run something."""
    await add_job("pass")
    await rust.until(lambda: rust.started)
