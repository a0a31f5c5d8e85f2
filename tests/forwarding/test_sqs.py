"""SQS, as moto's server is it: killed, silent, and refusing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

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
)
from gw_sqla.forwarding import Message, SqsSink
from tests.forwarding.amazon import access, amazon, client_of
from tests.forwarding.receiver import Receiver, Request, receiving
from tests.forwarding.servers import Broker
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

__all__ = ["access", "amazon"]

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


class Queues:
    """The queues "orders" and "orders.fifo"."""

    def __init__(self, amazon: Broker) -> None:
        self.client = client_of("sqs", amazon)

    def make(self) -> None:
        for name in ("orders", "orders.fifo"):
            fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
            self.client.create_queue(QueueName=name, Attributes=fifo)

    def url(self, name: str) -> str:
        return str(self.client.get_queue_url(QueueName=name)["QueueUrl"])

    def messages(self, name: str) -> list[dict[str, Any]]:
        """Take all."""
        url, taken = self.url(name), []
        while found := self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        ).get("Messages"):
            taken += found
            for message in found:
                self.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken


@pytest.fixture
def queues(amazon: Broker) -> Iterator[Queues]:
    queues = Queues(amazon)
    queues.make()
    yield queues
    for name in ("orders", "orders.fifo"):
        queues.client.delete_queue(QueueUrl=queues.url(name))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.1)
    monkeypatch.setattr("gw_sqla.forwarding.aws._ATTEMPTS", 1)


async def add_many(sessions: Sessions, task: Any, count: int, **options: Any) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number, **options) for number in range(count)])


async def test_messages_with_their_attributes(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    add_job: AddJob,
    access: dict[str, Any],
    queues: Queues,
) -> None:
    def routed(payload: Any, message: Message) -> Message:
        if isinstance(payload, dict):
            message.headers = {"kind": "a\nü", "empty": ""}
        return message

    task = tasks.forward("out", SqsSink("orders", **access), message=routed, source="shop/")
    first = await add_job("out", {"a": "ü"}, queue_name="q", priority=-1)
    await add_many(sessions, task, 33)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=34, failed=0)
    taken = {message["Body"]: message for message in queues.messages("orders")}
    assert taken.keys() == {'{"a":"ü"}', *map(str, range(33))}
    attributes = {name: value["StringValue"] for name, value in taken['{"a":"ü"}']["MessageAttributes"].items()}
    assert attributes == {"message-id": f"shop/{first.id}", "task": "out", "queue": "q", "kind": "a\nü"}


async def test_fifo_queue_keeps_the_order_of_each_job_queue(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, access: dict[str, Any], queues: Queues
) -> None:
    task = tasks.forward("out", SqsSink(queues.url("orders.fifo"), **access))
    names = ("plain", "mit Umlaut ü", "x" * 128, None)
    async with sessions.begin() as session:
        specs = [task.spec(number, queue_name=names[number % 4]) for number in range(60)]
        await JobRepository().add_jobs(session, specs)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=60, failed=0)
    groups: dict[str, list[int]] = {}
    for message in queues.messages("orders.fifo"):
        groups.setdefault(message["Attributes"]["MessageGroupId"], []).append(int(message["Body"]))
    assert groups.pop("plain") == list(range(0, 60, 4))
    assert groups.pop("x" * 128) == list(range(2, 60, 4))
    assert max(groups.values(), key=len) == list(range(1, 60, 4))
    assert sorted(len(group) for group in groups.values()) == [1] * 15 + [15], "one without a queue is a group alone"


async def test_fifo_queue_drops_repeats(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, access: dict[str, Any], queues: Queues
) -> None:
    class Unsure(SqsSink):
        """Loses the confirmation of the first send."""

        sent = 0

        async def send(self, messages: Any) -> Any:
            results = await super().send(messages)
            self.sent += 1
            return results if self.sent > 1 else [ConnectionError("lost") for _ in results]

    sink = Unsure("orders.fifo", **access)
    tasks.forward("out", sink)
    await add_job("out", 1)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert sink.sent == 2
    assert len(queues.messages("orders.fifo")) == 1


async def test_refusals_fail_their_own_jobs(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    access: dict[str, Any],
    queues: Queues,
    sessions: Sessions,
) -> None:
    def routed(payload: dict[str, str], message: Message) -> Message:
        message.topic = payload.get("to")
        message.body = payload["body"].encode("latin-1")
        return message

    tasks.forward("out", SqsSink("orders", **access), message=routed)
    for payload in (
        {"body": "good"},
        {"body": "x" * 1_100_000},
        {"body": "\xff"},
        {"body": "nowhere", "to": "missing"},
        {"body": "elsewhere", "to": "orders.fifo"},
        {"body": "good too"},
    ):
        await add_job("out", payload)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=3, failed=3)
    assert [message["Body"] for message in queues.messages("orders")] == ["good", "good too"]
    assert [message["Body"] for message in queues.messages("orders.fifo")] == ["elsewhere"]
    async with sessions() as session:
        errors = [str(job.last_error) for job in await JobRepository().list_jobs(session)]
    assert "no message may have more than 1048576" in errors[0]
    assert errors[1] == "RefusedError: a body and attributes must be text in UTF-8"
    assert errors[2].startswith("RefusedError: sqs: AWS.SimpleQueueService.NonExistentQueue")


async def test_call_that_is_refused_as_a_whole_is_repeated_message_by_message(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, access: dict[str, Any], recorder: Recorder
) -> None:
    def answer(request: Request) -> tuple[int, dict[str, str]]:
        return (400, {}) if b"bad" in request.body else (200, {})

    with receiving(Receiver(answer=answer, text=b'{"__type": "InvalidMessageContents"}')) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        task = tasks.forward("out", SqsSink(f"{url}/1/orders", **{**access, "endpoint_url": url}))
        async with sessions.begin() as session:
            payloads = ["good" if number != 3 else "bad" for number in range(10)]
            await JobRepository().add_jobs(session, [task.spec(payload) for payload in payloads])
        counts = await Runner(engine, tasks, observers=[recorder]).run_once()
    assert counts == RunCounts(completed=9, failed=1)
    assert [failed.message for failed in recorder.failed] == ["RefusedError: sqs: InvalidMessageContents"]


async def test_killed_service_loses_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    access: dict[str, Any],
    amazon: Broker,
    queues: Queues,
    log: Log,
) -> None:
    """Its queues are gone with it: that they are missing is waited out, too."""
    task = tasks.forward("out", SqsSink("orders", **access), batch=10)
    await add_many(sessions, task, 100)
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) >= 20)
        before = {message["Body"] for message in queues.messages("orders")}
        await anyio.to_thread.run_sync(amazon.kill)
        await log.until(lambda: log.about("forwarding to SqsSink (out)"))
        await anyio.to_thread.run_sync(amazon.start)
        await anyio.to_thread.run_sync(queues.make)
        await recorder.until(lambda: len(recorder.completed) == 100, 60)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert not recorder.failed
    assert len(log.about("forwarding to SqsSink (out)")) == 2
    after = {message["Body"] for message in queues.messages("orders")}
    assert len(before | after) > 70, "all but what was sent between the last look and the end"


async def test_service_that_does_not_answer(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    access: dict[str, Any],
    amazon: Broker,
    queues: Queues,
) -> None:
    tasks.forward("out", SqsSink("orders", **access), timeout=timedelta(seconds=2))
    async with Runner(engine, tasks, observers=[recorder]):
        amazon.pause()
        try:
            await add_job("out", 1)
            await recorder.until(lambda: recorder.returned)
        finally:
            amazon.go_on()
        await recorder.until(lambda: recorder.completed)
    assert recorder.completed[0].job.attempts == 1


@pytest.mark.parametrize(
    ("status", "code"), [(503, "ServiceUnavailable"), (400, "ThrottlingException"), (403, "ExpiredToken")]
)
async def test_outages_that_the_service_tells(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    add_job: AddJob,
    access: dict[str, Any],
    log: Log,
    status: int,
    code: str,
) -> None:
    bad = False

    def answer(_: object) -> tuple[int, dict[str, str]]:
        return (status, {}) if bad else (200, {})

    with receiving(Receiver(answer=answer, text=b'{"__type": "%s"}' % code.encode())) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        tasks.forward("out", SqsSink(f"{url}/1/orders", **{**access, "endpoint_url": url}))
        async with Runner(engine, tasks, observers=[recorder]):
            bad = True
            await add_job("out", 1)
            await log.until(lambda: log.about("forwarding to SqsSink (out)"))
            bad = False
            await recorder.until(lambda: recorder.completed)
    assert not recorder.failed
    assert recorder.completed[0].job.attempts == 1


async def test_what_cannot_work_is_an_error_at_the_start(
    engine: AsyncEngine, access: dict[str, Any], queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("NonExistentQueue", {"queue": "missing"}),
        ("NonExistentQueue", {"queue": queues.url("orders") + "x"}),
        ("region: is missing", {"queue": "orders", "region": None}),
        ("NoCredentialsError", {"queue": "orders", "access_key_id": None, "secret_access_key": None}),
    ]
    for problem, options in wrong:
        tasks = TaskRegistry()
        tasks.forward("out", SqsSink(**access | options))
        with pytest.raises(ConfigurationError, match=problem) as caught:
            await Runner(engine, tasks).run_once()
        assert "hidden" not in str(caught.value)


async def test_keys_that_are_refused(engine: AsyncEngine, access: dict[str, Any]) -> None:
    receiver = Receiver(answer=lambda _: (403, {}), text=b'{"__type": "SignatureDoesNotMatch", "message": "hidden"}')
    with receiving(receiver):
        tasks = TaskRegistry()
        tasks.forward("out", SqsSink("orders", **{**access, "endpoint_url": f"http://127.0.0.1:{receiver.port}"}))
        with pytest.raises(ConfigurationError, match="sqs: SignatureDoesNotMatch") as caught:
            await Runner(engine, tasks).run_once()
    assert "hidden" not in str(caught.value)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("queue", {"queue": ""}),
        ("concurrency", {"concurrency": 0}),
        ("region", {"region": 1}),
        ("endpoint_url", {"endpoint_url": "hidden"}),
        ("access_key_id", {"access_key_id": "hidden"}),
        ("access_key_id", {"secret_access_key": "hidden"}),
    ]
    for problem, options in bad:
        with pytest.raises(ConfigurationError, match=problem) as caught:
            SqsSink(**options)
        assert "hidden" not in str(caught.value)
