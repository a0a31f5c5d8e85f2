"""SNS, as moto's server is it, with SQS queues behind its topics. What fails in calls is in test_sqs.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, ConfigurationError, JobRepository, RunCounts, Runner, TaskRegistry, async_sessionmaker
from gw_sqla.forwarding import Message, SnsSink
from tests.forwarding.amazon import access, amazon, client_of
from tests.forwarding.servers import Broker
from tests.worker.conftest import AddJob

__all__ = ["access", "amazon"]

pytestmark = pytest.mark.anyio

ARN = "arn:aws:sns:eu-west-1:123456789012:"


class Topic:
    """A topic, and the queue that is subscribed to it."""

    def __init__(self, amazon: Broker, name: str) -> None:
        self._sns, self._sqs = client_of("sns", amazon), client_of("sqs", amazon)
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self._queue = self._sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        self.arn = self._sns.create_topic(Name=name, Attributes={"FifoTopic": "true"} if fifo else {})["TopicArn"]
        queue_arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}"
        self._sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue_arn)

    def delete(self) -> None:
        self._sns.delete_topic(TopicArn=self.arn)
        self._sqs.delete_queue(QueueUrl=self._queue)

    def messages(self) -> list[dict[str, Any]]:
        """Take all; what SNS has wrapped, with what SQS says of each."""
        taken = []
        while found := self._sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages"):
            for message in found:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]) | message["Attributes"])
        return taken


@pytest.fixture
def topic(amazon: Broker) -> Iterator[Topic]:
    topic = Topic(amazon, "orders")
    yield topic
    topic.delete()


@pytest.fixture
def fifo(amazon: Broker) -> Iterator[Topic]:
    topic = Topic(amazon, "orders.fifo")
    yield topic
    topic.delete()


async def test_messages_with_their_attributes(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, access: dict[str, Any], topic: Topic
) -> None:
    tasks.forward("out", SnsSink(topic.arn, **access))
    jobs = [await add_job("out", {"n": number}, job_key=f"k{number}") for number in range(25)]
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=25, failed=0)
    taken = {message["Message"]: message["MessageAttributes"] for message in topic.messages()}
    assert taken.keys() == {f'{{"n":{number}}}' for number in range(25)}
    assert {name: value["Value"] for name, value in taken['{"n":3}'].items() if name != "message-id"} == {
        "task": "out",
        "job-key": "k3",
    }
    assert taken['{"n":3}']["message-id"]["Value"].startswith(f"{jobs[3].id}-")


async def test_fifo_topic_keeps_the_order_of_each_job_queue(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: async_sessionmaker[AsyncSession],
    access: dict[str, Any],
    fifo: Topic,
) -> None:
    task = tasks.forward("out", SnsSink(fifo.arn, **access))
    async with sessions.begin() as session:
        specs = [task.spec(number, queue_name=f"q{number % 2}") for number in range(30)]
        await JobRepository().add_jobs(session, specs)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=30, failed=0)
    groups: dict[str, list[int]] = {}
    for message in fifo.messages():
        groups.setdefault(message["MessageGroupId"], []).append(int(message["Message"]))
    assert groups == {"q0": list(range(0, 30, 2)), "q1": list(range(1, 30, 2))}


async def test_topic_that_is_missing(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, access: dict[str, Any], topic: Topic
) -> None:
    """The sink's own: an error at the start. A message's: its job fails, others do not."""

    def routed(payload: dict[str, str], message: Message) -> Message:
        message.topic = payload.get("topic")
        return message

    registry = TaskRegistry()
    registry.forward("out", SnsSink(f"{ARN}missing", **access))
    with pytest.raises(ConfigurationError, match="sns: NotFound"):
        await Runner(engine, registry).run_once()
    tasks.forward("out", SnsSink(topic.arn, **access), message=routed)
    await add_job("out", {"topic": f"{ARN}missing"})
    await add_job("out", {})
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=1)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("topic_arn", {"topic_arn": "orders"}),
        ("topic_arn", {"topic_arn": None}),
        ("concurrency", {"concurrency": True}),
        ("endpoint_url", {"endpoint_url": "hidden"}),
    ]
    for problem, options in bad:
        arguments: Any = {"topic_arn": f"{ARN}orders"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            SnsSink(**arguments)
        assert "hidden" not in str(caught.value)
