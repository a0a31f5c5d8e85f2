"""RabbitMQ, a real one that is killed, blocked and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aio_pika
import anyio.to_thread
import pytest
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
from gw_sqla.forwarding import Message, RabbitMQSink
from tests.forwarding.servers import RabbitMQ, running_rabbitmq
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
Taken = list[aio_pika.abc.AbstractIncomingMessage]
Take = Callable[[], Awaitable[Taken]]


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    with running_rabbitmq() as broker:
        yield broker


@pytest.fixture
def url(rabbitmq: RabbitMQ) -> str:
    return f"amqp://guest:guest@127.0.0.1:{rabbitmq.port}/"


@pytest.fixture
async def take(url: str, anyio_backend: str) -> AsyncIterator[Take]:
    """Make the durable queue "orders", bound to the exchange "shop" too; return what takes all that is in it."""

    async def prepare() -> None:
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            exchange = await channel.declare_exchange("shop", "topic", durable=True)
            queue = await channel.declare_queue("orders", durable=True)
            await queue.bind(exchange, "orders.#")
            await queue.purge()

    async def take_all() -> Taken:
        taken = []
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            queue = await channel.get_queue("orders")
            while (message := await queue.get(fail=False, no_ack=True)) is not None:
                taken.append(message)
        return taken

    async with database_loop():
        await call_asyncio(prepare)
        yield lambda: call_asyncio(take_all)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.2)


async def add_many(sessions: Sessions, task: Any, count: int) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number) for number in range(count)])


async def test_messages_arrive_in_order_with_their_properties(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, url: str, take: Take
) -> None:
    task = tasks.forward("out", RabbitMQSink(url, routing_key="orders", priority=3))
    first = await add_job("out", {"a": "ü"}, queue_name="q", priority=-1)
    await add_many(sessions, task, 700)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=701, failed=0)
    taken = await take()
    assert taken[0].body == '{"a":"ü"}'.encode()
    assert (taken[0].message_id, taken[0].type, taken[0].priority) == (str(first.id), "out", 3)
    assert taken[0].headers["queue"] == "q"
    assert taken[0].delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert taken[0].content_type == "application/json"
    assert [message.body for message in taken[1:]] == [b"%d" % number for number in range(700)]


async def test_no_queue_takes_it(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, url: str, take: Take, sessions: Sessions
) -> None:
    def routed(payload: str, message: Message) -> Message:
        message.topic = payload
        return message

    tasks.forward("out", RabbitMQSink(url, "shop"), message=routed)
    for key in ("orders.de", "nowhere", "orders.fr", "x" * 300):
        await add_job("out", key)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=2, failed=2)
    assert [message.routing_key for message in await take()] == ["orders.de", "orders.fr"]
    async with sessions() as session:
        errors = [job.last_error for job in await JobRepository().list_jobs(session)]
    assert errors[0] == "RefusedError: no queue takes messages with the routing key 'nowhere'"


async def test_refusing_queue(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, url: str, take: Take, recorder: Recorder
) -> None:
    """A queue that is full and rejects: basic.nack, for each of those that it does not take."""

    async def declare() -> None:
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            arguments: Any = {"x-max-length": 5, "x-overflow": "reject-publish"}
            await (await channel.declare_queue("full", durable=False, arguments=arguments)).purge()

    await call_asyncio(declare)
    task = tasks.forward("out", RabbitMQSink(url, routing_key="full"))
    await add_many(sessions, task, 12)
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=5, failed=7)
    assert {failed.message for failed in recorder.failed} == {"RefusedError: the broker has refused it (basic.nack)"}


async def test_killed_broker_loses_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    rabbitmq: RabbitMQ,
    url: str,
    take: Take,
    log: Log,
) -> None:
    task = tasks.forward("out", RabbitMQSink(url, routing_key="orders"), batch=50)
    await add_many(sessions, task, 2000)
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) > 200)
        await anyio.to_thread.run_sync(rabbitmq.kill)
        await log.until(lambda: log.about("forwarding to RabbitMQSink (out)"))
        await anyio.to_thread.run_sync(rabbitmq.start)
        await recorder.until(lambda: len(recorder.completed) == 2000, 60)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    bodies = Counter(message.body for message in await take())
    assert bodies.keys() == {b"%d" % number for number in range(2000)}
    assert len(log.about("forwarding to RabbitMQSink (out)")) == 2


async def test_blocked_broker_is_an_outage(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    rabbitmq: RabbitMQ,
    url: str,
    take: Take,
    log: Log,
) -> None:
    tasks.forward("out", RabbitMQSink(url, routing_key="orders"))
    await anyio.to_thread.run_sync(rabbitmq.control, "set_vm_memory_high_watermark", "0.00001")
    try:
        async with Runner(engine, tasks, observers=[recorder]):
            await add_job("out", 1)
            await log.until(lambda: log.with_text("blocked publishers"))
            await anyio.to_thread.run_sync(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
            await recorder.until(lambda: recorder.completed)
    finally:
        await anyio.to_thread.run_sync(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
    assert not recorder.failed
    assert recorder.completed[0].job.attempts == 1


async def test_what_cannot_work_is_an_error_at_the_start(engine: AsyncEngine, url: str, take: Take) -> None:
    wrong = [
        (RabbitMQSink(url.replace("guest@", "hidden@")), "AuthenticationError"),
        (RabbitMQSink(f"{url}novhost"), "virtual host"),
        (RabbitMQSink(url, "missing"), "no exchange 'missing'"),
        (RabbitMQSink(url, routing_key="missing"), "no queue 'missing'"),
    ]
    for sink, problem in wrong:
        tasks = TaskRegistry()
        tasks.forward("out", sink)
        with pytest.raises(ConfigurationError, match=problem) as caught:
            await Runner(engine, tasks).run_once()
        assert "hidden" not in str(caught.value)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("url", {"url": "http://hidden"}),
        ("url", {"url": None}),
        ("exchange", {"exchange": None}),
        ("routing_key", {"routing_key": 1}),
        ("priority", {"priority": 256}),
    ]
    for problem, options in bad:
        arguments: Any = {"url": "amqp://localhost/"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            RabbitMQSink(**arguments)
        assert "hidden" not in str(caught.value)
