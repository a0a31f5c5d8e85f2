"""NATS JetStream, a real server that is killed, full and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread
import nats
import pytest
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
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
from gw_sqla.forwarding import Message, NatsSink
from tests.forwarding.servers import Broker, nats_command, running
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture(scope="module")
def nats_server() -> Iterator[Broker]:
    with running(nats_command) as broker:
        yield broker


class Stream:
    """The stream "orders", of the subjects orders.>; its methods work on both event loops."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def make(self, **options: Any) -> None:
        async def make() -> None:
            client = await nats.connect(self.url)
            context = client.jetstream()
            with suppress(NotFoundError):
                await context.delete_stream("orders")
            await context.add_stream(name="orders", subjects=["orders.>"], **options)
            await client.close()

        await call_asyncio(make)

    async def messages(self) -> list[Msg]:
        async def fetch() -> list[Msg]:
            client = await nats.connect(self.url)
            subscription = await client.jetstream().pull_subscribe("orders.>")
            found: list[Msg] = []
            with suppress(TimeoutError):
                while True:
                    found += await subscription.fetch(1000, timeout=0.3)
            await client.close()
            return found

        return await call_asyncio(fetch)


@pytest.fixture
async def stream(nats_server: Broker, anyio_backend: str) -> AsyncIterator[Stream]:
    async with database_loop():
        stream = Stream(f"nats://127.0.0.1:{nats_server.port}")
        await stream.make()
        yield stream


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.1)


async def add_many(sessions: Sessions, task: Any, count: int) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number) for number in range(count)])


async def test_messages_arrive_in_order_with_headers(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, stream: Stream
) -> None:
    def routed(payload: Any, message: Message) -> Message:
        if isinstance(payload, dict):
            message.topic = "orders.first"
            message.headers = {"note": "a\r\nb: ü"}
        return message

    task = tasks.forward("out", NatsSink(stream.url, "orders.paid"), message=routed, source="shop/")
    first = await add_job("out", {"a": "ü"}, queue_name="q", priority=-1)
    await add_many(sessions, task, 700)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=701, failed=0)
    taken = await stream.messages()
    assert (taken[0].subject, taken[0].data.decode()) == ("orders.first", '{"a":"ü"}')
    headers = taken[0].headers
    assert headers is not None
    assert (headers["Nats-Msg-Id"], headers["task"], headers["queue"]) == (f"shop/{first.id}", "out", "q")
    assert headers["note"] == "a%0D%0Ab: ü"
    assert [message.data for message in taken[1:]] == [b"%d" % number for number in range(700)]


async def test_killed_server_loses_nothing_and_repeats_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    stream: Stream,
    nats_server: Broker,
    log: Log,
) -> None:
    task = tasks.forward("out", NatsSink(stream.url, "orders.paid"), batch=50)
    await add_many(sessions, task, 1000)
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) > 100)
        await anyio.to_thread.run_sync(nats_server.kill)
        await log.until(lambda: log.about("forwarding to NatsSink (out)"))
        await anyio.to_thread.run_sync(nats_server.start)
        await recorder.until(lambda: len(recorder.completed) == 1000, 60)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    bodies = Counter(message.data for message in await stream.messages())
    assert bodies.keys() == {b"%d" % number for number in range(1000)}
    assert len(log.about("forwarding to NatsSink (out)")) == 2


async def test_stream_drops_repeats(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, stream: Stream) -> None:
    class Unsure(NatsSink):
        """Loses the confirmation of each first send."""

        sent = 0

        async def send(self, messages: Any) -> Any:
            results = await super().send(messages)
            self.sent += 1
            return results if self.sent > 1 else [ConnectionError("lost") for _ in results]

    sink = Unsure(stream.url, "orders.paid")
    tasks.forward("out", sink)
    await add_job("out", 1)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert sink.sent == 2
    assert len(await stream.messages()) == 1


async def test_refusals(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, stream: Stream, sessions: Sessions
) -> None:
    def routed(payload: str, message: Message) -> Message:
        message.topic = payload[:20]
        return message

    await stream.make(max_msg_size=2000)
    tasks.forward("out", NatsSink(stream.url, stream="orders"), message=routed)
    for subject in (
        "orders.de",
        "elsewhere",
        "two words",
        "orders.*",
        "orders." + "x" * 3000,
        "orders." + "y" * 2_000_000,
    ):
        await add_job("out", subject)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=5)
    async with sessions() as session:
        errors = [job.last_error for job in await JobRepository().list_jobs(session)]
    assert errors == [
        "RefusedError: no stream takes the subject 'elsewhere'",
        "RefusedError: 'two words' is no subject",
        "RefusedError: 'orders.*' is no subject",
        "RefusedError: message size exceeds maximum allowed",
        "RefusedError: the message is larger than the server's max_payload",
    ]


async def test_what_cannot_work_is_an_error_at_the_start(engine: AsyncEngine, stream: Stream) -> None:
    wrong = [
        (NatsSink(stream.url, stream="missing"), "there is no 'missing'"),
        (NatsSink(stream.url, "missing.subject"), "no stream takes 'missing.subject'"),
    ]
    for sink, problem in wrong:
        tasks = TaskRegistry()
        tasks.forward("out", sink)
        with pytest.raises(ConfigurationError, match=problem):
            await Runner(engine, tasks).run_once()


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> None:
    """The client would try again and again, and hold up the start of the worker."""
    monkeypatch.setattr("gw_sqla.forwarding.nats_jetstream._SECONDS", 0.3)
    sink = NatsSink("nats://127.0.0.1:1", "orders.x")
    async with database_loop():
        with anyio.fail_after(5), pytest.raises(ConnectionError, match="Connect call failed"):
            await sink.open()
        await sink.close()


async def test_wrong_password(engine: AsyncEngine, anyio_backend: str) -> None:
    with running(lambda port, directory: [*nats_command(port, directory), "--user", "u", "--pass", "right"]) as broker:
        tasks = TaskRegistry()
        tasks.forward("out", NatsSink(f"nats://u:hidden@127.0.0.1:{broker.port}", "orders.x"))
        with pytest.raises(ConfigurationError, match=r"(?i)authorization") as caught:
            await Runner(engine, tasks).run_once()
    assert "hidden" not in str(caught.value)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("url", {"url": "http://hidden"}),
        ("url", {"url": None}),
        ("subject", {"subject": "a b"}),
        ("subject", {"subject": "a.*"}),
        ("stream", {"stream": ""}),
    ]
    for problem, options in bad:
        arguments: Any = {"url": "nats://localhost"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            NatsSink(**arguments)
        assert "hidden" not in str(caught.value)
