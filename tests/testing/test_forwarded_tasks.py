"""Jobs of forwarded tasks: sent to the sink that the test gives, never to their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from gw_sqla import (
    AsyncSession,
    Completed,
    Failed,
    FailPermanently,
    JobRepository,
    JobStarted,
    JobState,
    JobTesterError,
    Observer,
    SinkUnavailableError,
    TaskRegistry,
)
from gw_sqla.forwarding import Message, Sink
from gw_sqla.testing import JobTester, RecordingSink

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    order: int


class Broker:
    """The application's own sink."""

    async def open(self) -> None:
        raise AssertionError("nothing is sent")

    async def close(self) -> None: ...

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        return []


class Choosy(RecordingSink):
    """Says of each message what its test has it say."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._answer = answer
        self.events: list[str] = []

    async def open(self) -> None:
        self.events.append("open")

    async def close(self) -> None:
        self.events.append("close")

    async def send(self, messages: Sequence[Message], /) -> Sequence[Exception | None]:
        self.events.append("send")
        await super().send(messages)
        answer = self._answer.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return [answer]


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()
    tasks.forward("paid", Broker(), payload=Order, message=_routed, source="shop/")
    tasks.forward("sent", Broker(), timeout=timedelta(milliseconds=200))
    return tasks


def _routed(order: Order, message: Message) -> Message:
    message.topic = f"orders.{order.order}"
    return message


async def test_without_a_sink_they_are_left(session: AsyncSession, jobs: JobTester, repo: JobRepository) -> None:
    await repo.add_job(session, "paid", {"order": 1})
    report = await jobs.run_jobs()
    assert ([job.task_identifier for job in report.left], report.outcomes) == (["paid"], [])
    with pytest.raises(JobTesterError, match=r"forwarded to a sink.*sinks={'paid': .*RecordingSink"):
        await jobs.run_jobs("paid")
    with pytest.raises(JobTesterError, match="forwarded to a sink"):
        await jobs.run("paid", {"order": 1})


async def test_they_are_sent_among_other_jobs(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    told: list[str] = []

    class Told(Observer):
        def job_started(self, event: JobStarted) -> None:
            told.append(f"started {event.job.task_identifier}")

        def job_completed(self, outcome: Completed) -> None:
            told.append(f"completed {outcome.job.task_identifier}")

    @tasks.task("pay")
    async def pay(payload: Order, own: AsyncSession) -> None:
        await repo.add_job(own, "paid", {"order": payload.order}, queue_name="q", job_key="k")

    sink = RecordingSink()
    jobs = JobTester(session, tasks, sinks={tasks["paid"]: sink}, observers=[Told()])
    await repo.add_job(session, pay, Order(order=7))
    await repo.add_job(session, "sent")
    report = await jobs.run_jobs()
    assert (len(report.completed), [job.task_identifier for job in report.left]) == (2, ["sent"])
    [message] = sink.messages
    assert (message.topic, message.key, message.body) == ("orders.7", "q", b'{"order":7}')
    assert message.id.startswith(f"shop/{message.job.id}-")
    assert told == ["started pay", "completed pay", "started paid", "completed paid"]
    assert [job.task_identifier for job in await jobs.added()] == ["sent"]


async def test_one_message_by_itself(session: AsyncSession, tasks: TaskRegistry) -> None:
    sink = RecordingSink()
    jobs = JobTester(session, tasks, sinks={"paid": sink})
    assert isinstance(await jobs.run("paid", Order(order=1)), Completed)
    assert [message.topic for message in sink.messages] == ["orders.1"]
    assert await jobs.added() == []


async def test_what_a_sink_refuses_fails(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    sink = Choosy([ValueError("too big"), FailPermanently("no such stream"), None])
    jobs = JobTester(session, tasks, sinks={"paid": sink, "sent": sink})
    await repo.add_job(session, "paid", {"order": "x"})  # does not fit
    for number in (1, 2):
        await repo.add_job(session, "paid", {"order": number})
    await repo.add_job(session, "sent", {})
    report = await jobs.run_jobs(errors="record")
    assert str(report) == "completed 1, failed 1, retried 2, snoozed 0"
    assert sink.events == ["open", "send", "send", "send", "close"]
    assert report.retried[1].message == "ValueError: too big"
    await repo.add_job(session, "paid", {"order": 3})
    sink = Choosy([ValueError("too big")])
    with pytest.raises(ValueError, match="too big") as error:
        await JobTester(session, tasks, sinks={"paid": sink}).run_jobs()
    assert "of task 'paid', attempt 1 of 25" in error.value.__notes__[0]


@pytest.mark.parametrize("outage", [ConnectionError("gone"), SinkUnavailableError("full")])
async def test_an_outage_is_the_tests_to_see(
    session: AsyncSession, tasks: TaskRegistry, repo: JobRepository, outage: Exception
) -> None:
    """As in production no attempt is spent; unlike there it is not waited out, which would have no end here."""
    sink = Choosy([outage, None])
    jobs = JobTester(session, tasks, sinks={"paid": sink})
    await repo.add_job(session, "paid", {"order": 1})
    with pytest.raises(type(outage), match=str(outage)):
        await jobs.run_jobs(errors="record")
    [job] = await jobs.added("paid")
    assert (job.attempts, job.state, sink.events[-1]) == (0, JobState.READY, "close")
    assert len((await jobs.run_jobs()).completed) == 1


async def test_a_sink_that_cannot_be_opened_and_one_that_hangs(
    session: AsyncSession, tasks: TaskRegistry, repo: JobRepository
) -> None:
    class Hangs(RecordingSink):
        async def send(self, messages: Sequence[Message], /) -> Sequence[Exception | None]:
            await anyio.sleep_forever()
            raise AssertionError

    await repo.add_job(session, "sent")
    with pytest.raises(AssertionError, match="nothing is sent"):
        await JobTester(session, tasks, sinks={"sent": Broker()}).run_jobs()
    jobs = JobTester(session, tasks, sinks={"sent": Hangs()})
    with pytest.raises(TimeoutError, match=r"not confirmed within 0\.2 s"):
        await jobs.run_jobs()
    assert [(job.attempts, job.state) for job in await jobs.added()] == [(0, JobState.READY)]


@pytest.mark.parametrize(
    ("sinks", "message"),
    [
        ({"payd": RecordingSink()}, "no task 'payd': did you mean 'paid'"),
        ({"plain": RecordingSink()}, "sinks: task 'plain' has a handler"),
        ({"paid": RecordingSink}, "sinks: that of 'paid' must have open, close and send"),
        ({"paid": object()}, "must have open, close and send"),
    ],
)
async def test_sinks_that_cannot_be(
    session: AsyncSession, tasks: TaskRegistry, sinks: dict[str, Sink], message: str
) -> None:
    @tasks.task("plain")
    async def plain() -> None: ...

    with pytest.raises(JobTesterError, match=message):
        JobTester(session, tasks, sinks=sinks)


async def test_a_batch_is_of_one(session: AsyncSession, tasks: TaskRegistry, repo: JobRepository) -> None:
    class Counting(RecordingSink):
        async def send(self, messages: Sequence[Message], /) -> Sequence[Exception | None]:
            assert len(messages) == 1
            return await super().send(messages)

    sink = Counting()
    for number in range(3):
        await repo.add_job(session, "paid", {"order": number})
    report = await JobTester(session, tasks, sinks={"paid": sink}).run_jobs()
    assert not [outcome for outcome in report.outcomes if isinstance(outcome, Failed)]
    assert [message.topic for message in sink.messages] == ["orders.0", "orders.1", "orders.2"]
