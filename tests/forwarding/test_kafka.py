"""Kafka, a real broker that is killed, paused and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import anyio.to_thread
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobRepository,
    RunCounts,
    Runner,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
    database_loop,
)
from gw_sqla.forwarding import KafkaSink, Message
from tests.forwarding.servers import Kafka, running_kafka
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    with running_kafka() as broker:
        yield broker


class Topic:
    """A topic of three partitions, with a name of its own; its methods work on both event loops."""

    made = 0

    def __init__(self, servers: str) -> None:
        Topic.made += 1
        self.servers = servers
        self.name = f"orders.{Topic.made}"

    async def make(self, **configs: str) -> None:
        async def make() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(self.name, 3, 1, topic_configs=configs)])
            finally:
                await admin.close()

        await call_asyncio(make)

    async def records(self) -> list[Any]:
        """All records, partition by partition."""

        async def read() -> list[Any]:
            consumer = AIOKafkaConsumer(bootstrap_servers=self.servers)
            await consumer.start()
            try:
                partitions = [TopicPartition(self.name, number) for number in range(3)]
                consumer.assign(partitions)
                await consumer.seek_to_beginning()
                ends = await consumer.end_offsets(partitions)
                found: list[Any] = []
                while any([await consumer.position(one) < ends[one] for one in partitions]):
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += records
                return sorted(found, key=lambda record: (record.partition, record.offset))
            finally:
                await consumer.stop()

        return await call_asyncio(read)


@pytest.fixture
async def topic(kafka: Kafka, anyio_backend: str) -> AsyncIterator[Topic]:
    async with database_loop():
        topic = Topic(f"127.0.0.1:{kafka.port}")
        await topic.make()
        yield topic


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.1)


async def add_many(sessions: Sessions, task: Any, count: int, **options: Any) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number, **options) for number in range(count)])


async def test_records_with_keys_and_headers(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, topic: Topic
) -> None:
    task = tasks.forward("out", KafkaSink(topic.servers, topic.name, compression="gzip"), source="shop/")
    first = await add_job("out", {"a": "ü"}, queue_name="warteschlange ü", priority=-1)
    async with sessions.begin() as session:
        specs = [task.spec(number, queue_name=f"q{number % 7}") for number in range(700)]
        await JobRepository().add_jobs(session, specs)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=701, failed=0)
    records = await topic.records()
    [one] = [record for record in records if record.key == "warteschlange ü".encode()]
    headers = dict(one.headers)
    assert one.value == '{"a":"ü"}'.encode()
    assert (headers["message-id"], headers["task"]) == (f"shop/{first.id}".encode(), b"out")
    for number in range(7):
        of_queue = [int(record.value) for record in records if record.key == b"q%d" % number]
        assert of_queue == list(range(number, 700, 7)), "in one partition, in order"


async def test_killed_broker_loses_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    kafka: Kafka,
    topic: Topic,
    log: Log,
) -> None:
    sink = KafkaSink(topic.servers, topic.name)
    task = tasks.forward("out", sink, batch=50, timeout=timedelta(seconds=5))
    await add_many(sessions, task, 2000)
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) > 200)
        await anyio.to_thread.run_sync(kafka.kill)
        await log.until(lambda: log.about("forwarding to KafkaSink (out)"))
        await anyio.to_thread.run_sync(kafka.start)
        await recorder.until(lambda: len(recorder.completed) == 2000, 100)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    bodies = Counter(record.value for record in await topic.records())
    assert bodies.keys() == {b"%d" % number for number in range(2000)}
    assert len(log.about("forwarding to KafkaSink (out)")) == 2


async def test_broker_that_does_not_answer_is_sent_nothing_late(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    kafka: Kafka,
    topic: Topic,
) -> None:
    """What was given up is not sent by a producer that lives on: a queue's order holds, with repeats."""
    task = tasks.forward("out", KafkaSink(topic.servers, topic.name), timeout=timedelta(seconds=2))
    async with Runner(engine, tasks, observers=[recorder]):
        kafka.pause()
        try:
            await add_many(sessions, task, 300, queue_name="q")
            await recorder.until(lambda: recorder.returned)
        finally:
            kafka.go_on()
        await recorder.until(lambda: len(recorder.completed) == 300, 60)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    values = [int(record.value) for record in await topic.records()]
    assert values[-300:] == list(range(300))
    assert set(values[:-300]) <= set(range(300))


async def test_refusals_fail_their_own_jobs(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, topic: Topic
) -> None:
    def routed(payload: str, message: Message) -> Message:
        message.topic = {"m": "missing", "t": "two words"}.get(payload[0])
        return message

    tasks.forward("out", KafkaSink(topic.servers, topic.name), message=routed)
    for payload in ("good", "missing", "two", "x" * 2_000_000, "good too"):
        await add_job("out", payload)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=2, failed=3)
    assert {record.value for record in await topic.records()} == {b'"good"', b'"good too"'}
    async with sessions() as session:
        errors = [job.last_error for job in await JobRepository().list_jobs(session)]
    assert errors == [
        "RefusedError: there is no topic 'missing', or this user may not see it",
        "RefusedError: there is no topic 'two words', or this user may not see it",
        "RefusedError: Kafka: MessageSizeTooLargeError",
    ]


async def test_record_that_the_broker_finds_too_large(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, kafka: Kafka, anyio_backend: str
) -> None:
    async with database_loop():
        small = Topic(f"127.0.0.1:{kafka.port}")
        await small.make(**{"max.message.bytes": "40000"})
        tasks.forward("out", KafkaSink(small.servers, small.name))
        for payload in ("good", "x" * 100_000, "good too"):
            await add_job("out", payload)
        assert await Runner(engine, tasks).run_once() == RunCounts(completed=2, failed=1)
        assert len(await small.records()) == 2


async def test_what_cannot_work_is_an_error_at_the_start(engine: AsyncEngine, kafka: Kafka, topic: Topic) -> None:
    wrong = [(KafkaSink(topic.servers, "missing"), "there is no 'missing'")]
    sasl: dict[str, Any] = {"servers": f"127.0.0.1:{kafka.sasl_port}", "topic": topic.name, "username": "u"}
    wrong.append((KafkaSink(**sasl, password="hidden", mechanism="PLAIN"), "SaslAuthenticationFailed"))
    wrong.append((KafkaSink(**sasl, password="hidden"), "UnsupportedSaslMechanism"))
    for sink, problem in wrong:
        tasks = TaskRegistry()
        tasks.forward("out", sink)
        with pytest.raises(ConfigurationError, match=problem) as caught:
            await Runner(engine, tasks).run_once()
        assert "hidden" not in str(caught.value)


async def test_password(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, kafka: Kafka, topic: Topic) -> None:
    servers = f"127.0.0.1:{kafka.sasl_port}"
    tasks.forward("out", KafkaSink(servers, topic.name, username="u", password="right", mechanism="PLAIN"))
    await add_job("out", 1)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)


async def test_nobody_listens(anyio_backend: str) -> None:
    sink = KafkaSink("127.0.0.1:1")
    async with database_loop():
        with anyio.fail_after(15), pytest.raises(ConnectionError, match="Kafka: KafkaConnectionError"):
            await sink.open()
        await sink.close()


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("servers", {"servers": "kafka://u:hidden@host:1"}),
        ("servers", {"servers": None}),
        ("topic", {"topic": "a b"}),
        ("username", {"password": "hidden"}),
        ("password", {"username": "u", "password": ""}),
        ("mechanism", {"mechanism": "GSSAPI"}),
        ("compression", {"compression": "zip"}),
        ("tls", {"tls": "yes"}),
    ]
    for problem, options in bad:
        arguments: Any = {"servers": "localhost:9092"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            KafkaSink(**arguments)
        assert "hidden" not in str(caught.value)
