"""Forwarded tasks: claimed in batches, sent, and finished by what the sink says."""

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
    FailPermanently,
    JobContext,
    JobRepository,
    RetryAfter,
    RunCounts,
    Runner,
    RunnerSettings,
    Snooze,
    TaskDefinitionError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Pausing
from gw_sqla.forwarding import Message, standard_headers
from tests.forwarding.sinks import KeptSink
from tests.support.log import Log
from tests.support.pools import locks
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


async def add_many(sessions: Sessions, task: Any, payloads: Sequence[Any], **options: Any) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(payload, **options) for payload in payloads])


async def test_jobs_arrive_in_batches_and_are_done(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()
    task = tasks.forward("order_paid", sink, batch=20)
    await add_many(sessions, task, [{"n": n} for n in range(50)])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=50, failed=0)
    assert sorted(map(len, sink.batches)) == [10, 20, 20]
    assert [payload["n"] for payload in sink.payloads] == list(range(50))
    assert (sink.opened, sink.closed) == (1, 1)
    async with sessions() as session:
        assert await repo.list_jobs(session) == []


async def test_commit_wakes_the_forwarder_beside_ordinary_tasks(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)

    @tasks.task("here")
    async def here(ctx: JobContext) -> None:
        await ctx.add_job("out", "from a handler")

    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await add_job("here")
        await add_job("out", "from outside")
        await recorder.until(lambda: len(recorder.completed) == 3)
    assert sorted(sink.payloads) == ["from a handler", "from outside"]


async def test_run_once_forwards_what_handlers_add_and_what_waits_in_queues(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)

    @tasks.task("here")
    async def here(payload: int, ctx: JobContext) -> None:
        await ctx.add_job("out", payload, queue_name="q")

    for number in range(3):
        await add_job("here", number)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=6, failed=0)
    assert sorted(sink.payloads) == [0, 1, 2]


async def test_each_failure_is_its_own(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, backoff=lambda _: timedelta(hours=1))

    async def answer(messages: Sequence[Message]) -> Sequence[Exception | None]:
        errors = {1: ValueError("too big"), 2: FailPermanently("never"), 3: RetryAfter(timedelta(hours=5))}
        errors[4] = Snooze(timedelta(hours=5))
        return [errors.get(message.job.payload) for message in messages]

    sink.answer = answer
    await add_many(sessions, task, range(5))
    counts = await Runner(engine, tasks, observers=[recorder]).run_once()
    assert counts == RunCounts(completed=1, failed=3, snoozed=1)
    async with sessions() as session:
        left = {job.payload: job for job in await repo.list_jobs(session)}
    assert left[1].last_error == "ValueError: too big"
    assert (left[1].attempts, left[1].locked_by) == (1, None)
    assert left[2].attempts == left[2].max_attempts
    assert left[3].run_at - left[1].run_at > timedelta(hours=3)
    assert (left[4].attempts, left[4].last_error) == (0, None)


async def test_a_paused_task_is_not_forwarded(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    """And the others are: each that claims for the pool leaves it alone."""
    sink = KeptSink()
    tasks.forward("out", sink)

    @tasks.task("here")
    async def here() -> None: ...

    async with sessions.begin() as session:
        await Pausing().pause(session, task="out")
    await add_job("out", 1)
    await add_job("here")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert sink.payloads == []
    async with sessions.begin() as session:
        await Pausing().resume(session, task="out")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    assert sink.payloads == [1]


@pytest.mark.parametrize("returned", [[], [None] * 3, [True, None], None])
async def test_results_that_are_none(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, repo: JobRepository, returned: Any
) -> None:
    """A sink with a fault of its own fails what it was given; nothing is taken for confirmed, nothing is lost."""
    sink = KeptSink()
    task = tasks.forward("out", sink)

    async def answer(_messages: Sequence[Message]) -> Any:
        return returned

    sink.answer = answer
    await add_many(sessions, task, range(2))
    counts = await Runner(engine, tasks).run_once()
    assert counts.failed >= 1
    async with sessions() as session:
        errors = [job.last_error for job in await repo.list_jobs(session)]
    assert all(error is not None and ("results" in error or "NoneType" in error) for error in errors)
    assert len(errors) + counts.completed == 2


async def test_message_function_and_payload_type(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()

    def message(payload: dict[str, int], message: Message) -> Message:
        message.topic = f"orders.{payload['kind']}"
        message.headers = {"x-kind": str(payload["kind"]), "task": "renamed"}
        return message

    tasks.forward("out", sink, payload=dict[str, int], message=message)
    await add_job("out", {"kind": 7})
    await add_job("out", {"kind": "seven"})
    await add_job("out", {})
    await Runner(engine, tasks).run_once()
    [[sent]] = sink.batches
    assert sent.topic == "orders.7"
    assert standard_headers(sent)["task"] == "renamed"
    assert standard_headers(sent)["x-kind"] == "7"
    async with sessions() as session:
        first, second = [job.last_error for job in await repo.list_jobs(session)]
    assert first is not None
    assert first.startswith("payload: does not fit")
    assert "seven" not in first
    assert second == "KeyError: 'kind'"


async def test_ids_and_headers(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    sink = KeptSink()
    tasks.forward("out", sink, source="shop/")
    trace = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "flags": 1}
    job = await add_job("out", {"a": "ü", "_trace": trace}, queue_name="q", job_key="k")
    await Runner(engine, tasks).run_once()
    [[sent]] = sink.batches
    assert sent.body.decode() == job.payload_text
    assert sent.key == "q"
    assert sent.id.startswith(f"shop/{job.id}-")
    headers = standard_headers(sent)
    assert headers["traceparent"] == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert (headers["job-id"], headers["queue"], headers["job-key"], headers["attempt"]) == (str(job.id), "q", "k", "1")
    assert "ü" not in repr(sent)


async def test_replaced_job_has_another_message_id(engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob) -> None:
    """It was sent, and nobody knows whether it arrived; what replaces it must not be dropped as a repeat."""
    sink = KeptSink()
    tasks.forward("out", sink, backoff=lambda _: timedelta(0))

    async def unsure(messages: Sequence[Message]) -> Sequence[Exception | None]:
        return [RuntimeError("who knows")]

    sink.answer = unsure
    first = await add_job("out", 1, job_key="k", max_attempts=2)
    counts = await Runner(engine, tasks).run_once()
    assert counts.failed == 2
    ids = {message.id for [message] in sink.batches}
    assert len(ids) == 1, "the same message at each attempt"
    assert first.id is not None


async def test_configuration_is_an_error_before_anything_is_claimed(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, repo: JobRepository
) -> None:
    good, bad = KeptSink(), KeptSink()
    bad.open_faults = [ConfigurationError("there is no such topic")]
    tasks.forward("good", good)
    tasks.forward("bad", bad)
    await add_job("good")
    with pytest.raises(ConfigurationError, match="no such topic"):
        await Runner(engine, tasks).run_once()
    assert (good.closed, good.batches) == (1, [])
    async with sessions() as session:
        [job] = await repo.list_jobs(session)
    assert (job.attempts, job.locked_by) == (0, None)


async def test_stop_while_sending_gives_back(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, repo: JobRepository
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, batch=3)

    async def never(_messages: Sequence[Message]) -> Any:
        await anyio.sleep_forever()

    sink.answer = never
    await add_many(sessions, task, range(10))
    settings = RunnerSettings(grace_period=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]):
        await sink.until(lambda: sink.batches)
    assert len(recorder.returned) in (3, 6), "what was being sent, and what was claimed ahead"
    assert await locks(sessions) == (0, 0)
    async with sessions() as session:
        assert {job.attempts for job in await repo.list_jobs(session)} == {0}


async def test_stop_waits_for_the_confirmation(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)
    stopping = anyio.Event()

    async def slow(messages: Sequence[Message]) -> Sequence[None]:
        await stopping.wait()
        return [None] * len(messages)

    sink.answer = slow
    await add_job("out")
    runner = Runner(engine, tasks, observers=[recorder])
    async with runner:
        await sink.until(lambda: sink.batches)
        runner.stop()
        await anyio.lowlevel.checkpoint()
        stopping.set()
    assert len(recorder.completed) == 1


async def test_lock_that_is_lost_while_sending(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, sessions: Sessions, add_job: AddJob, log: Log
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink)
    go_on = anyio.Event()

    async def slow(messages: Sequence[Message]) -> Sequence[None]:
        await go_on.wait()
        return [None] * len(messages)

    sink.answer = slow
    job = await add_job("out")
    settings = RunnerSettings(heartbeat_interval=timedelta(milliseconds=50))
    async with Runner(engine, tasks, settings, observers=[recorder]) as _:
        await sink.until(lambda: sink.batches)
        async with sessions.begin() as session:
            await JobRepository().force_unlock_workers(session, [await _owner(sessions, job.id)])
        await recorder.until(lambda: recorder.lost)
        go_on.set()
        await recorder.until(lambda: recorder.completed)
    assert len(recorder.lost) == 1
    assert len(sink.batches) == 2, "at least once"
    assert log.with_text("locks of their jobs were lost")


async def _owner(sessions: Sessions, job_id: int) -> str:
    async with sessions() as session:
        job = await JobRepository().get_job(session, job_id)
    assert job is not None
    assert job.locked_by is not None
    return job.locked_by


def test_definitions_that_cannot_be(tasks: TaskRegistry) -> None:
    sink = KeptSink()
    tasks.forward("first", sink, batch=10)
    bad: list[tuple[str, Any]] = [
        ("open, close and send", {"sink": object()}),
        ("open, close and send", {"sink": KeptSink}),
        ("batch must be 1 to 10000", {"batch": 0}),
        ("batch must be 1 to 10000", {"batch": True}),
        ("timeout must be", {"timeout": None}),
        ("timeout must be", {"timeout": timedelta(0)}),
        ("function of payload and message", {"message": "x"}),
        ("source must be a str", {"source": None}),
        ("give each a sink of its own", {"sink": sink, "batch": 11}),
        ("max_attempts", {"max_attempts": 0}),
    ]
    for problem, options in bad:
        arguments: Any = {"sink": KeptSink()} | options
        with pytest.raises(TaskDefinitionError, match=problem):
            tasks.forward("second", **arguments)
    with pytest.raises(TaskDefinitionError, match="twice"):
        tasks.forward("first", KeptSink())
    with pytest.raises(TypeError, match="no handler"):
        tasks["first"]()
    assert list(tasks) == ["first"]
