"""Named queues: many jobs of one in a batch, and all of them in order, whoever forwards them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    JobRepository,
    JobSpec,
    RunCounts,
    Runner,
    RunnerSettings,
    SinkUnavailableError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.forwarding import Message
from tests.forwarding.sinks import KeptSink, once, raising
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def add_all(sessions: Sessions, specs: Sequence[JobSpec]) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, specs)


def by_queue(sent: Sequence[Message]) -> dict[str | None, list[Any]]:
    """What was sent of each queue, each the first time."""
    found: dict[str | None, list[Any]] = defaultdict(list)
    for message in sent:
        found[message.key].append(message.job.payload)
    return {queue: list(dict.fromkeys(payloads)) for queue, payloads in found.items()}


async def test_many_of_a_queue_in_one_batch(engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, batch=100)
    await add_all(sessions, [task.spec(n, queue_name=f"q{n % 3}") for n in range(150)] + [task.spec("free")] * 10)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=160, failed=0)
    assert len(sink.batches) <= 4
    sent = [message for batch in sink.batches for message in batch]
    assert {queue: by_queue(sent)[queue] for queue in ("q0", "q1", "q2")} == {
        f"q{first}": list(range(first, 150, 3)) for first in range(3)
    }
    assert await locks(sessions) == (0, 0)


async def test_order_is_of_priority_run_at_and_id(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, batch=7)
    past = datetime.now(UTC) - timedelta(hours=1)
    specs = [task.spec(n, queue_name="q", run_at=past) for n in range(30)]
    await add_all(sessions, specs)
    async with sessions.begin() as session:  # rows of one run_at that lie in another order than they came
        await session.execute(text("update graphile_worker._private_jobs set updated_at = now() where id % 2 = 0"))
    await add_job("out", "late", queue_name="q", run_at=datetime.now(UTC) + timedelta(hours=1))
    await add_job("out", "urgent", queue_name="q", priority=-1)
    await Runner(engine, tasks).run_once()
    assert sink.payloads == ["urgent", *range(30)]


async def test_two_workers_and_outages(
    engine: AsyncEngine, sessions: Sessions, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends, what is sent of a queue the first time is in order."""
    monkeypatch.setattr("gw_sqla.database.outage._FIRST_DELAY", 0.001)
    sent: list[Message] = []

    async def unsteady(messages: Sequence[Message]) -> Sequence[Exception | None]:
        await anyio.sleep(random.uniform(0, 0.005))
        confirmed = len(messages) if random.random() < 0.5 else random.randrange(len(messages) + 1)
        sent.extend(messages[:confirmed])
        return [None] * confirmed + [SinkUnavailableError("gone")] * (len(messages) - confirmed)

    def registry() -> TaskRegistry:
        tasks = TaskRegistry()
        sink = KeptSink()
        sink.answer = unsteady
        tasks.forward("out", sink, batch=20)
        return tasks

    tasks = registry()
    await add_all(sessions, [tasks["out"].spec(n, queue_name=f"q{n % 4}") for n in range(400)])
    settings = RunnerSettings(poll_interval=timedelta(milliseconds=50))
    async with (
        Runner(engine, tasks, settings, observers=[recorder]),
        Runner(engine, registry(), settings, observers=[recorder]),
    ):
        await recorder.until(lambda: len(recorder.completed) == 400)
    assert by_queue(sent) == {f"q{first}": list(range(first, 400, 4)) for first in range(4)}
    assert not recorder.failed


async def test_outage_returns_a_queue_as_it_was(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink)
    await add_all(sessions, [task.spec(n, queue_name="q") for n in range(10)])
    sink.answer = once(raising(ConnectionError()))
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=10, failed=0)
    assert len(recorder.returned) == 10
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}


async def test_other_tasks_of_the_queue_are_left_to_the_slots(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    sink = KeptSink()
    out = tasks.forward("out", sink)
    inside: list[int] = []

    @tasks.task("here")
    async def here(payload: int) -> None:
        inside.append(payload)

    await add_all(sessions, [(here if n % 2 else out).spec(n, queue_name="q") for n in range(20)])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=20, failed=0)
    assert inside == list(range(1, 20, 2))
    assert sink.payloads == list(range(0, 20, 2))


async def test_large_payload_ends_what_is_taken_of_its_queue(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, batch=1000)
    payloads = ["a", "b", "x" * 200_000, "c", "d"]
    await add_all(sessions, [task.spec(payload, queue_name="q") for payload in payloads])
    await Runner(engine, tasks).run_once()
    assert [[message.job.payload[0] for message in batch] for batch in sink.batches] == [["a", "b"], ["x", "c", "d"]]


async def test_oversized_payload_fails_in_its_turn(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink)
    await add_all(sessions, [task.spec(payload, queue_name="q") for payload in ("a", "x" * 3000, "b")])
    settings = RunnerSettings(max_payload_size=1024)
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=2, failed=1)
    assert sink.payloads == ["a", "b"]


async def test_flags_are_heeded_in_a_queue(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)
    for number in range(6):
        await add_job("out", number, queue_name="q", flags=["heavy"] if number % 2 else None)
    await Runner(engine, tasks, RunnerSettings(forbidden_flags=["heavy"])).run_once()
    assert sink.payloads == [0, 2, 4]
