"""Probes: what is alive, what is ready, and what is neither."""

from __future__ import annotations

import gc
import logging
import socket
from datetime import timedelta
from time import monotonic

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobRepository,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Admin
from gw_sqla.hooks.events import (
    DatabaseFault,
    DatabaseFaultOver,
    HeartbeatSent,
    JobsClaimed,
    JobStarted,
    ListenerLost,
    ListenerUp,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from gw_sqla.jobs.outcomes import Completed, Returned
from gw_sqla.telemetry import PrometheusMetrics, WorkerHealth, serve_http, worker_health
from tests.support.server import Server
from tests.telemetry.asking import ask
from tests.telemetry.test_prometheus_metrics import job, samples, value

pytestmark = pytest.mark.anyio

STARTED = WorkerStarted(pool_id="pool-1", tasks=("a",), slots=2)
FAULT = DatabaseFault(doing="claiming jobs", reason="it is away")
OVER = DatabaseFaultOver(doing="claiming jobs", faults=3, seconds=1.0)


def tasks_with(name: str = "a") -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task(name)
    async def a() -> None:
        pass

    return tasks


async def test_a_worker_is_ready_while_it_works(engine: AsyncEngine) -> None:
    health = WorkerHealth()
    async with serve_http("127.0.0.1:0", health) as port:
        assert (await ask(port, "/metrics")).status == 404
        assert (await ask(port, "/healthz")).body == "ok\n"
        said = await ask(port, "/readyz")
        assert (said.status, said.body) == (503, "not started\n")
        async with Runner(engine, tasks_with(), observers=[health]):
            with anyio.fail_after(20):
                while (said := await ask(port, "/readyz")).status != 200:
                    assert said.body in ("hears no notifications\n", "not started\n")
            assert said.body == "ok\n"
            assert (await ask(port, "/healthz")).status == 200
        assert (await ask(port, "/readyz")).body == "not started\n"
        assert (await ask(port, "/healthz")).status == 200


async def test_it_is_not_ready_while_it_stops(engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]) -> None:
    tasks, begun, end = TaskRegistry(), anyio.Event(), anyio.Event()

    @tasks.task("wait")
    async def wait() -> None:
        begun.set()
        await end.wait()

    health = WorkerHealth()
    async with sessions.begin() as session:
        await JobRepository().add_job(session, "wait")
    async with serve_http("127.0.0.1:0", health) as port, Runner(engine, tasks, observers=[health]) as runner:
        with anyio.fail_after(20):
            await begun.wait()
            runner.stop()
            while "stopping" not in (await ask(port, "/readyz")).body:
                await anyio.lowlevel.checkpoint()
        assert (await ask(port, "/healthz")).status == 200
        end.set()


async def test_a_paused_worker_is_alive(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It claims nothing, since it may not; it looks all the same."""
    monkeypatch.setattr(worker_health, "_CLAIM_SECONDS", 0.3)
    settings = RunnerSettings(poll_interval=timedelta(milliseconds=100))
    health = WorkerHealth(settings)
    async with sessions.begin() as session:
        await Admin().pause(session, everything=True)
    async with Runner(engine, tasks_with(), settings, observers=[health]):
        with anyio.fail_after(20):
            last = health._claimed_at
            for _ in range(10):  # claims, or what is done in their place, go on
                while health._claimed_at == last:
                    await anyio.lowlevel.checkpoint()
                last = health._claimed_at
        assert list(health.not_alive()) == []
    async with sessions.begin() as session:
        await Admin().resume(session, everything=True)


async def test_what_the_block_raises_stays_as_it_is(anyio_backend: str) -> None:
    with pytest.raises(LookupError, match="of the block"):
        async with serve_http("127.0.0.1:0", WorkerHealth()):
            raise LookupError("of the block")
    with pytest.raises(ConfigurationError, match=r"^address: must be HOST:PORT"):
        async with serve_http("9000", WorkerHealth()):
            pass
    with pytest.raises(ConfigurationError, match=r"^health: must be"):
        async with serve_http("127.0.0.1:0", Runner):  # type: ignore[arg-type]
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # anyio before 4.12 leaves sockets
async def test_a_port_that_is_taken_does_not_keep_the_worker(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession], caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_job(session, "a")
    metrics = PrometheusMetrics(registry=CollectorRegistry())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with serve_http(f"127.0.0.1:{taken.getsockname()[1]}", metrics) as port:
            assert port == 0
            counts = await Runner(engine, tasks_with(), observers=[metrics]).run_once()
    gc.collect()
    assert counts.completed == 1
    assert caplog.text.count("cannot listen for HTTP") == 1


# -- what it makes of events ------------------------------------------------------------------------------------------


def test_slots_and_prefetched() -> None:
    health = WorkerHealth()
    health.worker_started(STARTED)
    jobs = [job("a")._replace(id=number) for number in range(4)]
    health.jobs_claimed(JobsClaimed(count=4, wanted=4, seconds=0.1))
    health.job_started(JobStarted(job=jobs[0], wait_seconds=0.0))
    health.job_started(JobStarted(job=jobs[1], wait_seconds=0.0))
    assert (health.slots, health.slots_busy, health.prefetched) == (2, 2, 2)
    health.job_completed(Completed(jobs[0]))
    health.job_returned(Returned(jobs[3]))
    assert (health.slots_busy, health.prefetched) == (1, 1)
    health.worker_stopped(WorkerStopped(pool_id="pool-1", seconds=1, completed=1, failed=0, snoozed=0))
    assert (health.slots, health.slots_busy, health.prefetched) == (0, 0, 0)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> WorkerHealth:
    """Of a worker that hears notifications, and has said nothing since long ago."""
    health = WorkerHealth()
    health.worker_started(STARTED)
    health.listener_up(ListenerUp(faults=0))
    assert list(health.not_alive()) == list(health.not_ready()) == []
    monkeypatch.setattr(worker_health, "monotonic", lambda: monotonic() + 1000)
    return health


def test_a_worker_that_hangs(late: WorkerHealth) -> None:
    assert list(late.not_alive()) == ["no heartbeat for 1000 s", "no claim for 1000 s, with 2 slots free"]
    late.heartbeat_sent(HeartbeatSent(seconds=0.1))
    late.jobs_claimed(JobsClaimed(count=0, wanted=2, seconds=0.1))
    assert list(late.not_alive()) == []


def test_an_outage_is_no_reason_to_be_restarted(late: WorkerHealth) -> None:
    late.database_fault(FAULT)
    assert list(late.not_alive()) == []
    assert list(late.not_ready()) == ["no heartbeat for 1000 s", "out of order: claiming jobs"]
    late.database_fault_over(OVER)
    assert len(list(late.not_alive())) == 2


def test_busy_slots_claim_nothing(late: WorkerHealth) -> None:
    late.heartbeat_sent(HeartbeatSent(seconds=0.1))
    for number in range(2):
        late.job_started(JobStarted(job=job("a")._replace(id=number), wait_seconds=0.0))
    assert list(late.not_alive()) == []


def test_a_worker_that_stops_claims_nothing(late: WorkerHealth) -> None:
    late.heartbeat_sent(HeartbeatSent(seconds=0.1))
    late.worker_stopping(WorkerStopping(pool_id="pool-1", running=0))
    assert list(late.not_alive()) == []
    assert list(late.not_ready()) == ["stopping"]


def test_through_a_pooler_nothing_is_heard() -> None:
    for pooler, expected in ((True, []), (False, ["hears no notifications"])):
        health = WorkerHealth(RunnerSettings(transaction_pooler=pooler))
        health.worker_started(STARTED)
        health.listener_lost(ListenerLost(reason="it was closed"))
        assert list(health.not_ready()) == expected


async def execute(server: Server, sql: str) -> None:
    await anyio.to_thread.run_sync(server.execute, sql)


async def test_while_the_database_is_away(
    server: Server, engine: AsyncEngine, anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Alive, not ready, counted; then all is well again."""
    caplog.set_level(logging.ERROR)
    settings = RunnerSettings(poll_interval=timedelta(milliseconds=50))
    metrics = PrometheusMetrics(settings, registry=CollectorRegistry())
    name = engine.url.database
    async with serve_http("127.0.0.1:0", metrics) as port, Runner(engine, tasks_with(), settings, observers=[metrics]):
        with anyio.fail_after(30):
            while (await ask(port, "/readyz")).status != 200:
                await anyio.lowlevel.checkpoint()
            await execute(server, f'alter database "{name}" allow_connections false')
            try:
                await execute(
                    server, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
                )
                while (await ask(port, "/readyz")).status == 200:
                    await anyio.lowlevel.checkpoint()
                assert (await ask(port, "/healthz")).status == 200
            finally:
                await execute(server, f'alter database "{name}" allow_connections true')
            while (await ask(port, "/readyz")).status != 200:
                await anyio.lowlevel.checkpoint()
        metrics._rendered_at = float("-inf")
        said = samples((await ask(port, "/metrics")).body)
    assert value(said, "gw_sqla_database_outages_total") >= 1
    assert value(said, "gw_sqla_database_faults_total") >= value(said, "gw_sqla_database_outages_total")
