"""A sink out of reach: the jobs wait, no attempt is spent, said once; what is a message's fault is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobRepository,
    RunCounts,
    Runner,
    RunnerSettings,
    SinkUnavailableError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.forwarding import Message
from tests.forwarding.sinks import KeptSink, confirm, once, raising
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

OUTAGE = "forwarding to KeptSink (out)"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outages are waited out in milliseconds."""
    monkeypatch.setattr("gw_sqla.database.outage._FIRST_DELAY", 0.001)
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 0.01)


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), SinkUnavailableError("full"), TimeoutError("slow")])
async def test_outage_spends_no_attempts_and_is_said_once(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    log: Log,
    error: Exception,
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink)

    async def end(_messages: Sequence[Message]) -> Any:
        sink.open_faults = [type(error)("still")] * 5
        raise error

    sink.answer = once(end)
    async with sessions.begin() as session:
        await repo.add_jobs(session, [task.spec(number) for number in range(5)])
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) == 5)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}
    assert len(recorder.returned) == 5
    assert not recorder.failed
    assert [outcome.job.payload for outcome in recorder.completed] == list(range(5))
    assert sink.opened == 7
    assert sink.closed == 7
    log.assert_said_once(OUTAGE)


async def test_outage_at_the_start_lets_other_tasks_run(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, sessions: Sessions
) -> None:
    sink, other = KeptSink(), KeptSink()
    sink.open_faults = [ConnectionRefusedError()] * 10_000
    tasks.forward("out", sink)
    tasks.forward("elsewhere", other)

    @tasks.task("here")
    async def here() -> None: ...

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        for task in ("out", "elsewhere", "here"):
            await add_job(task)
        await recorder.until(lambda: len(recorder.completed) == 2)
        assert await locks(sessions) == (0, 0), "nothing is claimed for a sink that is out of reach"
        sink.open_faults.clear()
        await recorder.until(lambda: len(recorder.completed) == 3)
    assert {outcome.job.attempts for outcome in recorder.completed} == {1}


async def test_anything_that_opening_raises_later_is_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    """A password that was changed does not end the worker, whose other tasks go on."""
    sink = KeptSink()
    tasks.forward("out", sink)

    async def end(_messages: Sequence[Message]) -> Any:
        sink.open_faults = [ConfigurationError("wrong password")] * 3
        raise ConnectionError

    sink.answer = once(end)
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await add_job("out")
        await recorder.until(lambda: recorder.completed)
    assert sink.opened == 5


async def test_part_is_confirmed_before_the_connection_ends(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, repo: JobRepository
) -> None:
    """What was confirmed is not sent again."""
    sink = KeptSink()
    task = tasks.forward("out", sink)

    async def half(messages: Sequence[Message]) -> Sequence[Exception | None]:
        return [None if place < 2 else ConnectionError("lost") for place in range(len(messages))]

    sink.answer = once(half)
    async with sessions.begin() as session:
        await repo.add_jobs(session, [task.spec(number) for number in range(5)])
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=5, failed=0)
    assert sink.payloads == [0, 1, 2, 3, 4, 2, 3, 4]
    assert len(recorder.returned) == 3


async def test_broker_that_never_confirms_fails_one_at_a_time(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._FIRST_DELAY", 0.001)
    sink = KeptSink()
    task = tasks.forward("out", sink, timeout=timedelta(milliseconds=20), backoff=lambda _: timedelta(hours=1))

    async def never(_messages: Sequence[Message]) -> Any:
        await anyio.sleep_forever()

    sink.answer = never
    async with sessions.begin() as session:
        await repo.add_jobs(session, [task.spec(number) for number in range(100)])
    settings = RunnerSettings(grace_period=timedelta(0))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: len(recorder.failed) >= 2)  # until it is told, others may follow
    assert {failed.message for failed in recorder.failed} == {"TimeoutError: not confirmed within 0.02 s"}
    sizes = [len(batch) for batch in sink.batches]
    assert {*sizes[:6]} == {100, 12, 1}, "smaller and smaller"
    assert sizes == sorted(sizes, reverse=True)
    assert sizes.count(1) >= len(recorder.failed), "each is sent alone before it fails"
    assert len(log.about(OUTAGE)) == 1


@pytest.mark.parametrize("poison", [0, 3, 9])
async def test_message_that_ends_the_connection_fails_alone(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    sessions: Sessions,
    repo: JobRepository,
    poison: int,
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, backoff=lambda _: timedelta(hours=1))

    async def answer(messages: Sequence[Message]) -> Any:
        if any(message.job.payload == poison for message in messages):
            raise ConnectionResetError("it is too much for the other side")
        return [None] * len(messages)

    sink.answer = answer
    async with sessions.begin() as session:
        await repo.add_jobs(session, [task.spec(number) for number in range(10)])
    counts = await Runner(engine, tasks, observers=[recorder]).run_once()
    assert counts == RunCounts(completed=9, failed=1)
    [failed] = recorder.failed
    assert (failed.job.payload, failed.job.attempts) == (poison, 1)
    assert failed.message == "ConnectionResetError: it is too much for the other side"


async def test_sink_that_says_it_is_unavailable_is_never_taken_for_a_bad_message(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)
    sink.answer = raising(SinkUnavailableError("no space is left"))
    async with Runner(engine, tasks, observers=[recorder]):
        await add_job("out")
        await sink.until(lambda: len(sink.batches) == 10)
        sink.answer = confirm
        await recorder.until(lambda: recorder.completed)
    assert not recorder.failed


async def test_stop_in_an_outage_is_prompt(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, monkeypatch: pytest.MonkeyPatch, sessions: Sessions
) -> None:
    monkeypatch.setattr("gw_sqla.database.outage._FIRST_DELAY", 3600)
    monkeypatch.setattr("gw_sqla.database.outage._LONGEST_DELAY", 3600)
    sink = KeptSink()
    tasks.forward("out", sink)
    sink.answer = raising(ConnectionError())
    await add_job("out")
    with anyio.fail_after(20):
        async with Runner(engine, tasks):
            await sink.until(lambda: sink.batches)
    assert await locks(sessions) == (0, 0)


async def test_opening_that_takes_for_ever(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gw_sqla.worker.sink_calls._OPEN_SECONDS", 0.03)

    class Silent(KeptSink):
        async def open(self) -> None:
            await super().open()
            if self.opened < 3:
                await anyio.sleep_forever()

    tasks.forward("out", Silent(), timeout=timedelta(milliseconds=20))
    await add_job("out")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert "it could not be opened within 0.03 s" in log.lines[0]


async def test_opening_may_take_longer_than_a_confirmation(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    class Slow(KeptSink):
        async def open(self) -> None:
            await super().open()
            await anyio.sleep(0.1)

    sink = Slow()
    tasks.forward("out", sink, timeout=timedelta(milliseconds=30))
    await add_job("out")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert sink.opened == 1


async def test_queue_is_in_order_through_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)
    for number in range(6):
        await add_job("out", number, queue_name="q")
    sink.answer = once(raising(ConnectionError()))
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=6, failed=0)
    assert list(dict.fromkeys(sink.payloads)) == list(range(6))
