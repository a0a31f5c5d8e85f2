"""What lies between: a network that cuts batches in two, a pooler, a pause; and forwarders of which some are killed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

import anyio
import anyio.to_thread
import pytest
from redis import Redis
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobSpec,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Pausing
from gw_sqla.cli.engine import connected
from gw_sqla.forwarding import RedisStreamSink
from tests.forwarding import killed_forwarder
from tests.forwarding.servers import redis_command, running
from tests.forwarding.sinks import KeptSink
from tests.support.forks import fork
from tests.support.log import Log
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer
from tests.support.pools import locks
from tests.support.proxy import Proxy, start_proxy
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

QUEUES = 5


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """The URL of a Redis."""
    with running(redis_command) as broker:
        yield f"redis://127.0.0.1:{broker.port}"


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with start_proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._FIRST_DELAY", 0.01)
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.1)


async def add_queued(sessions: Sessions, count: int) -> None:
    """Add jobs whose payloads are numbers: of queue q0 those of 0, 5, 10 and so on."""
    specs = [
        JobSpec(task_identifier="out", payload=number, queue_name=f"q{number % QUEUES}") for number in range(count)
    ]
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, specs, return_rows=False)


def assert_all_in_order(client: Redis, count: int) -> int:
    """Assert that nothing is lost, and each queue's messages came first in its order; return how often one came again.

    A repeat begins with a message that had come already: what is new after it follows the last that was.
    """
    queues: dict[str, list[int]] = defaultdict(list)
    entries: Sequence[tuple[str, dict[str, str]]] = client.xrange("out")  # type: ignore[assignment]
    for _, fields in entries:
        queues[fields["queue"]].append(int(fields["body"]))
    for place in range(QUEUES):
        assert list(dict.fromkeys(queues[f"q{place}"])) == list(range(place, count, QUEUES))
    return len(entries) - count


@pytest.mark.parametrize("fault", ["cut", "half-closed", "refused"])
async def test_connection_is_cut_in_the_middle_of_batches(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    proxy: Proxy,
    client: Redis,
    log: Log,
    fault: str,
) -> None:
    tasks.forward("out", RedisStreamSink(proxy.url), batch=100)
    await add_queued(sessions, 3000)
    async with Runner(engine, tasks, observers=[recorder]):
        for cut in range(8):
            await recorder.until(lambda cut=cut: len(recorder.completed) >= 200 * (cut + 1))  # type: ignore[misc]
            said = len(log.about("forwarding to RedisStreamSink (out)"))
            proxy.hold()  # what is on its way is neither here nor there
            await anyio.sleep(random.uniform(0, 0.02))
            if fault == "half-closed":
                proxy.half_close(to="client")
            elif fault == "refused":
                proxy.refuse()
            else:
                proxy.cut()
            await log.until(lambda said=said: len(log.about("forwarding to RedisStreamSink (out)")) > said)  # type: ignore[misc]
            proxy.flow()
            if fault == "refused":
                proxy.listen()
        await recorder.until(lambda: len(recorder.completed) == 3000)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    assert_all_in_order(client, 3000)
    assert await locks(sessions) == (0, 0)


async def test_forwarders_of_which_some_are_killed_keep_queues_in_order(
    clean_database: str, anyio_backend: str, sessions: Sessions, client: Redis, redis_url: str
) -> None:
    count = 10_000
    await add_queued(sessions, count)
    workers = [fork(killed_forwarder.work_until_empty, clean_database, redis_url, anyio_backend) for _ in range(2)]
    for round_ in range(1, 7):
        with anyio.fail_after(120):
            while int(client.xlen("out")) < round_ * 1000:  # noqa: ASYNC110 - of another process
                await anyio.sleep(0.002)
        await anyio.sleep(random.uniform(0, 0.03))  # so that each kill hits another moment
        killed = workers.pop(random.randrange(2))
        killed.kill()
        await anyio.to_thread.run_sync(killed.join)
        assert killed.pid is not None
        await unlock_dead(sessions, killed.pid)
        workers.append(fork(killed_forwarder.work_until_empty, clean_database, redis_url, anyio_backend))
    for worker in workers:
        await anyio.to_thread.run_sync(worker.join, 120)
        assert worker.exitcode == 0
    assert_all_in_order(client, count)
    assert await locks(sessions) == (0, 0)


async def unlock_dead(sessions: Sessions, pid: int) -> None:
    """Take the locks of a killed worker away, once the server has heard of its death."""
    name = killed_forwarder.name_of(pid)
    with anyio.fail_after(30):
        while True:
            async with sessions.begin() as session:
                here = "select count(*) from pg_stat_activity where application_name = :name"
                if await session.scalar(text(here), {"name": name}) == 0:
                    pools = await session.scalars(
                        text("select pool_id from graphile_worker._private_sqla_workers where metadata->>'pid' = :pid"),
                        {"pid": str(pid)},
                    )
                    await JobRepository().force_unlock_workers(session, list(pools))
                    return
            await anyio.sleep(0.01)


async def test_pooler_in_transaction_mode(
    clean_database: str, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, redis_url: str, client: Redis
) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    tasks.forward("out", RedisStreamSink(redis_url), batch=50, keep=timedelta(days=1))
    other = TaskRegistry()
    other.forward("out", RedisStreamSink(redis_url), batch=70)
    await add_queued(sessions, 2000)
    settings = RunnerSettings(transaction_pooler=True, poll_interval=timedelta(milliseconds=50))
    with start_pgbouncer(program, clean_database, "transaction") as url:
        async with (
            connected(make_url(url), pool_size=1, keeps_statements=False) as first,
            connected(make_url(url), pool_size=1, keeps_statements=False) as second,
            Runner(first, tasks, settings, observers=[recorder]),
            Runner(second, other, settings, observers=[recorder]),
        ):
            await recorder.until(lambda: len(recorder.completed) == 2000)
    assert not recorder.failed
    assert not recorder.lost
    assert assert_all_in_order(client, 2000) == 0
    assert await locks(sessions) == (0, 0)


async def test_pause_while_a_batch_is_sent(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, add_job: AddJob
) -> None:
    """What is being sent is done; what was not claimed waits, until it may go on."""
    sink = KeptSink()
    tasks.forward("out", sink, batch=10)
    paused = anyio.Event()

    async def until_paused(messages: Sequence[object]) -> Sequence[None]:
        await paused.wait()
        return [None] * len(messages)

    sink.answer = until_paused
    await add_queued(sessions, 100)
    async with Runner(engine, tasks, RunnerSettings(poll_interval=timedelta(milliseconds=20)), observers=[recorder]):
        await sink.until(lambda: sink.batches)
        async with sessions.begin() as session:
            await Pausing().pause(session, task="out")
        paused.set()
        await recorder.until(lambda: len(recorder.completed) >= 10)
    assert len(recorder.completed) in (10, 20), "what was being sent, and what was claimed ahead"
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=0)
    async with sessions.begin() as session:
        await Pausing().resume(session, task="out")
    rest = 100 - len(recorder.completed)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=rest, failed=0)
    assert sorted(sink.payloads) == list(range(100))
