"""Redis streams, in a real Redis that is killed, paused, full and wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobRepository,
    JobSpec,
    RunCounts,
    Runner,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.forwarding import Message, RedisStreamSink
from tests.forwarding import killed_forwarder
from tests.forwarding.servers import Broker, redis_command, running
from tests.support.forks import fork
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Broker]:
    with running(redis_command) as broker:
        yield broker


@pytest.fixture
def client(redis_server: Broker) -> Iterator[Redis]:
    """A client beside the worker's; the server is empty, and as it was configured at the start."""
    with Redis(port=redis_server.port, decode_responses=True) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("requirepass", "")
        yield client


@pytest.fixture
def url(redis_server: Broker, client: Redis) -> str:
    return f"redis://127.0.0.1:{redis_server.port}"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.1)


def entries(client: Redis, stream: str) -> list[dict[str, str]]:
    found: Any = client.xrange(stream)
    return [fields for _, fields in found]


async def test_entries(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, client: Redis, url: str) -> None:
    def routed(payload: Any, message: Message) -> Message:
        if isinstance(payload, dict):
            message.topic = "other"
            message.headers = {"kind": "ü"}
        return message

    tasks.forward("out", RedisStreamSink(url), message=routed)
    first = await add_job("out", [1, "ü"], queue_name="q", job_key="k")
    await add_job("out", {"a": 1})
    await add_job("out", None)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=3, failed=0)
    [keyed] = entries(client, "out")
    assert keyed["body"] == '[1,"ü"]'
    assert keyed["id"].startswith(f"{first.id}-")
    assert (keyed["task"], keyed["queue"], keyed["job-key"]) == ("out", "q", "k")
    assert {entry["kind"] for entry in entries(client, "other")} == {"ü"}


async def test_killed_server_loses_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    client: Redis,
    url: str,
    redis_server: Broker,
    log: Log,
) -> None:
    task = tasks.forward("out", RedisStreamSink(url), batch=20)
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number) for number in range(500)])
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) > 100)
        await anyio.to_thread.run_sync(redis_server.kill)
        await log.until(lambda: log.about("forwarding to RedisStreamSink (out)"))
        await anyio.to_thread.run_sync(redis_server.start)
        await recorder.until(lambda: len(recorder.completed) == 500)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    assert len(log.about("forwarding to RedisStreamSink (out)")) == 2
    assert {entry["body"] for entry in entries(client, "out")} == {str(number) for number in range(500)}


async def test_server_that_does_not_answer(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    client: Redis,
    url: str,
    redis_server: Broker,
) -> None:
    tasks.forward("out", RedisStreamSink(url), timeout=timedelta(seconds=2))
    async with Runner(engine, tasks, observers=[recorder]):
        redis_server.pause()
        try:
            await add_job("out", 1)
            await recorder.until(lambda: recorder.returned)
        finally:
            redis_server.go_on()
        await recorder.until(lambda: recorder.completed)
    assert recorder.completed[0].job.attempts == 1
    assert {entry["body"] for entry in entries(client, "out")} == {"1"}


async def test_full_server_is_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, client: Redis, url: str, log: Log
) -> None:
    tasks.forward("out", RedisStreamSink(url))
    async with Runner(engine, tasks, observers=[recorder]):
        client.config_set("maxmemory", 1)
        await add_job("out", 1)
        await log.until(lambda: log.with_text("OOM"))
        client.config_set("maxmemory", 0)
        await recorder.until(lambda: recorder.completed)
    assert not recorder.failed


async def test_refusal_fails_its_own_job(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, client: Redis, url: str, sessions: Sessions
) -> None:
    def routed(payload: str, message: Message) -> Message:
        message.topic = payload
        return message

    client.set("text", "x")
    client.xadd("stream", {"a": "b"})
    tasks.forward("out", RedisStreamSink(url, create=False, maxlen=1000), message=routed)
    for stream in ("text", "stream", "missing"):
        await add_job("out", stream)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=2)
    async with sessions() as session:
        errors = {job.payload: job.last_error for job in await JobRepository().list_jobs(session)}
    assert str(errors["text"]).startswith("RefusedError: WRONGTYPE")
    assert errors["missing"] == "RefusedError: there is no such stream"


@pytest.mark.parametrize("right", ["-evalsha", "-xadd", "resetkeys"])
async def test_right_that_is_taken_away_is_an_outage(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    client: Redis,
    url: str,
    log: Log,
    right: str,
) -> None:
    all_rights = ("ACL", "SETUSER", "worker", "reset", "on", ">hidden", "~*", "+@all")
    server: Any = client
    server.execute_command(*all_rights)
    tasks.forward("out", RedisStreamSink(url.replace("//", "//worker:hidden@"), "orders"))
    async with Runner(engine, tasks, observers=[recorder]):
        server.execute_command("ACL", "SETUSER", "worker", right)
        await add_job("out", 1)
        await recorder.until(lambda: recorder.returned)
        server.execute_command("ACL", "SETUSER", "worker", "~*", "+@all")
        await recorder.until(lambda: recorder.completed)
    server.execute_command("ACL", "DELUSER", "worker")
    assert not recorder.failed
    assert recorder.completed[0].job.attempts == 1
    assert len(log.about("forwarding to RedisStreamSink (out)")) == 2
    assert not log.with_text("hidden")


async def test_script_that_was_forgotten(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, client: Redis, url: str
) -> None:
    tasks.forward("out", RedisStreamSink(url))
    async with Runner(engine, tasks, observers=[recorder]):
        client.script_flush()
        await add_job("out", 1)
        await recorder.until(lambda: recorder.completed)
    assert not recorder.returned


async def test_what_cannot_work_is_an_error_at_the_start(
    engine: AsyncEngine, client: Redis, url: str, request: pytest.FixtureRequest
) -> None:
    client.set("text", "x")
    sinks = [(RedisStreamSink(url, "text"), "it is a string"), (RedisStreamSink(url, "no", create=False), "no such")]
    for sink, problem in sinks:
        registry = TaskRegistry()
        registry.forward("out", sink)
        with pytest.raises(ConfigurationError, match=problem):
            await Runner(engine, registry).run_once()
    client.config_set("requirepass", "right")
    client.auth("right")
    request.addfinalizer(lambda: client.config_set("requirepass", ""))
    for address in (url, url.replace("://", "://:hidden@"), url.replace("://", "://user:hidden@")):
        registry = TaskRegistry()
        registry.forward("out", RedisStreamSink(address))
        with pytest.raises(ConfigurationError) as caught:
            await Runner(engine, registry).run_once()
        assert "hidden" not in str(caught.value)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("url", {"url": "http://hidden"}),
        ("url", {"url": "redis://x:hidden"}),
        ("url", {"url": 1}),
        ("maxlen", {"maxlen": 0}),
        ("stream", {"stream": ""}),
        ("options", {"hidden_option": 1}),
    ]
    for problem, options in bad:
        arguments: Any = {"url": "redis://localhost"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            RedisStreamSink(**arguments)
        assert "hidden" not in str(caught.value)


@pytest.fixture
async def many_jobs(sessions: Sessions) -> int:
    count = 20_000
    async with sessions.begin() as session:
        specs = (JobSpec(task_identifier="out", payload=number) for number in range(count))
        await JobRepository().add_jobs(session, specs, return_rows=False)
    return count


async def test_forwarder_that_is_killed_again_and_again(
    clean_database: str, anyio_backend: str, sessions: Sessions, many_jobs: int, client: Redis, url: str
) -> None:
    """20,000 messages: repeats, and no loss."""
    for round_ in range(1, 5):
        process = fork(killed_forwarder.work, clean_database, url, anyio_backend)
        with anyio.fail_after(60):
            while int(client.xlen("out")) < round_ * 3000 and process.is_alive():  # noqa: ASYNC110 - of another process
                await anyio.sleep(0.002)
        await anyio.sleep(random.uniform(0, 0.03))  # so that each kill hits another moment
        process.kill()
        await anyio.to_thread.run_sync(process.join)
        await unlock_dead(sessions)
    process = fork(killed_forwarder.work, clean_database, url, anyio_backend)
    await anyio.to_thread.run_sync(process.join)
    assert process.exitcode == 0
    bodies = Counter(entry["body"] for entry in entries(client, "out"))
    assert bodies.keys() == {str(number) for number in range(many_jobs)}
    ids = {entry["id"] for entry in entries(client, "out")}
    assert len(ids) == many_jobs, "a repeat has the id of the first"


async def unlock_dead(sessions: Sessions) -> None:
    """Take the locks of killed workers away once the server has heard of their deaths."""
    with anyio.fail_after(30):
        while True:
            async with sessions.begin() as session:
                left = await session.scalar(
                    text("select count(*) from pg_stat_activity where application_name = :name"),
                    {"name": killed_forwarder.NAME},
                )
                if left == 0:
                    pools = await session.scalars(
                        text("select distinct locked_by from graphile_worker._private_jobs where locked_by is not null")
                    )
                    await JobRepository().force_unlock_workers(session, list(pools))
                    return
            await anyio.sleep(0.01)
