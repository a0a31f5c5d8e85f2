"""Observers: told of each event, in its order; slow, broken and hanging ones hold up nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    ClaimedJob,
    Completed,
    ConfigurationError,
    Failed,
    JobStarted,
    Observer,
    Returned,
    Runner,
    RunnerSettings,
    SchemaMissingError,
    TaskRegistry,
    WorkerStopped,
)
from gw_sqla.hooks import backlog, channels
from gw_sqla.hooks.events import METHODS
from gw_sqla.hooks.observers import Observers
from gw_sqla.worker.worker_pool import RunCounts
from tests.hooks.conftest import AddJob
from tests.support.log import Log

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def note(tasks: TaskRegistry) -> None:
    @tasks.task("note")
    async def note() -> None: ...


class Everything(Observer):
    """Keeps all events; each of its methods is of the kind that is asked for."""

    def __init__(self, *, is_async: bool) -> None:
        self.told: list[Any] = []
        self.threads: set[str] = set()
        for name in set(METHODS.values()):
            setattr(self, name, self._keep_async if is_async else self._keep)

    def _keep(self, event: Any) -> None:
        self.told.append(event)
        self.threads.add(threading.current_thread().name)

    async def _keep_async(self, event: Any) -> None:
        self._keep(event)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_worker_tells_from_its_start_to_its_end(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, is_async: bool
) -> None:
    @tasks.task("slow")
    async def slow() -> None:
        await anyio.sleep(0.05)
        raise ValueError("as asked")

    for task in ("note", "slow"):
        await add_job(task)
    everything = Everything(is_async=is_async)
    await Runner(engine, tasks, RunnerSettings(concurrency=1), observers=[everything]).run_once()
    kinds = [type(event).__name__ for event in everything.told]
    assert kinds[:2] == ["HeartbeatSent", "WorkerStarted"]
    assert kinds[-1] == "WorkerStopped"
    for kind, count in {"JobStarted": 2, "Completed": 1, "Failed": 1, "WorkerStopping": 1}.items():
        assert kinds.count(kind) == count, kinds
    assert kinds.index("JobsClaimed") < kinds.index("JobStarted") < kinds.index("Completed") < kinds.index("Failed")
    assert {"Swept", "OutcomesWritten"} <= set(kinds)
    [failed] = [event for event in everything.told if isinstance(event, Failed)]
    assert 0.05 <= failed.seconds < 20
    [completed] = [event for event in everything.told if isinstance(event, Completed)]
    assert 0 < completed.seconds < 20
    started = [event for event in everything.told if isinstance(event, JobStarted)]
    assert [event.wait_seconds for event in started] == [completed.wait_seconds, failed.wait_seconds]
    assert all(0 < event.wait_seconds < 20 for event in started)
    stopped = everything.told[-1]
    assert isinstance(stopped, WorkerStopped)
    assert (stopped.completed, stopped.failed, stopped.snoozed) == (1, 1, 0)
    is_main = everything.threads == {threading.current_thread().name}
    assert is_main == is_async


async def test_the_wait_of_a_job_begins_when_it_is_due(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    from datetime import UTC, datetime

    await add_job("note", run_at=datetime.now(UTC) - timedelta(hours=1))
    everything = Everything(is_async=True)
    await Runner(engine, tasks, observers=[everything]).run_once()
    [started] = [event for event in everything.told if isinstance(event, JobStarted)]
    assert 3600 <= started.wait_seconds < 3660


async def test_nobody_pays_for_what_nobody_hears_of(engine: AsyncEngine) -> None:
    class Little(Observer):
        async def swept(self, event: object, /) -> None: ...

    assert not Observers([]).hear_of(*METHODS)
    assert not Observers([Little(), Observer()]).hear_of_jobs
    assert Observers([Little()]).hear_of(*METHODS)


class Hangs(Observer):
    """Never comes to an end; it lets go, at the end of a test, of the thread."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def job_completed(self, event: Completed) -> None:
        self.let_go.wait()


class HangsInLoop(Observer):
    """Never comes to an end."""

    let_go = threading.Event()

    async def job_completed(self, event: Completed) -> None:
        await anyio.sleep_forever()


@pytest.mark.parametrize("kind", [Hangs, HangsInLoop])
async def test_one_that_hangs_holds_up_nothing(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Hangs | HangsInLoop],
) -> None:
    monkeypatch.setattr(channels, "_CLOSING_SECONDS", 0.2)
    monkeypatch.setattr("gw_sqla.hooks.backlog.MOST_EVENTS", 3)
    for _ in range(10):
        await add_job("note")
    everything, hanging = Everything(is_async=True), kind()
    began = time.monotonic()
    assert await Runner(engine, tasks, observers=[hanging]).run_once() == RunCounts(10, 0)
    assert time.monotonic() - began < 20
    hanging.let_go.set()
    assert everything.told == []
    said = [line for line in log.lines if kind.__name__ in line]
    assert len([line for line in said if "is too slow" in line]) in (1, 2), said  # the first, and at the end all
    assert any("7 were dropped so far" in line for line in said), said
    assert any("did not end within 0.2 s: it was not told of 3 events" in line for line in said), said


class Raises(Observer):
    """Raises it each time."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def job_started(self, event: JobStarted) -> None:
        raise self._error

    async def job_completed(self, event: Completed) -> None:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), GeneratorExit(), BaseException("base")])
async def test_what_it_raises_is_logged_and_breaks_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log, error: BaseException
) -> None:
    await add_job("note")
    everything = Everything(is_async=True)
    counts = await Runner(engine, tasks, observers=[Raises(error), everything]).run_once()
    assert counts == RunCounts(1, 0)
    assert [type(event) for event in everything.told].count(Completed) == 1
    assert len([line for line in log.lines if "observer Raises failed" in line]) == 2


async def test_what_it_raises_a_hundred_times_is_logged_some_times(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gw_sqla.error_texts.repetition._SPAN_SECONDS", 1000.0)
    for _ in range(30):
        await add_job("note")
    assert await Runner(engine, tasks, observers=[Raises(ValueError("mine"))]).run_once() == RunCounts(30, 0)
    assert len(log.with_text("observer Raises failed")) == 2 * 20, "of each kind of its methods"
    assert len(log.with_text("10 more errors of observer Raises were not logged")) == 2


class CancelsItself(Observer):
    """Cancels the task that tells it, as only asyncio has it."""

    def __init__(self) -> None:
        self.told = 0

    async def job_completed(self, event: Completed) -> None:
        self.told += 1
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if self.told == 1:
            await anyio.sleep(1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_that_cancels_its_task_goes_on(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log
) -> None:
    for _ in range(2):
        await add_job("note")
    observer = CancelsItself()
    assert await Runner(engine, tasks, observers=[observer]).run_once() == RunCounts(2, 0)
    assert observer.told == 2


class LeavesOpen(Observer):
    """Leaves a scope open, or a task group in which something fails."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.told: list[int] = []

    async def job_completed(self, event: Completed) -> None:
        self.told.append(event.job.id)
        if self.kind == "group":
            group = anyio.create_task_group()
            await group.__aenter__()
            group.start_soon(self._fail)
            return
        scope = anyio.CancelScope()
        scope.__enter__()
        if self.kind == "cancelled scope":
            scope.cancel()

    async def _fail(self) -> None:
        raise ValueError("in a group")


@pytest.mark.parametrize("kind", ["scope", "cancelled scope", "group"])
async def test_one_that_leaves_a_scope_open_is_told_of_the_rest(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log, kind: str
) -> None:
    for _ in range(20):
        await add_job("note")
    observer, everything = LeavesOpen(kind), Everything(is_async=True)
    assert await Runner(engine, tasks, observers=[observer, everything]).run_once() == RunCounts(20, 0)
    assert len(observer.told) == len(set(observer.told)) == 20
    assert [type(event) for event in everything.told].count(Completed) == 20
    if kind != "scope":
        assert log.with_text("observer LeavesOpen has left a task group or cancel scope open")


async def test_a_sync_one_that_returns_an_awaitable_is_told_off(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, log: Log
) -> None:
    async def really() -> None: ...

    class Lies(Observer):
        def job_completed(self, event: Completed) -> Any:
            return really()

    await add_job("note")
    assert await Runner(engine, tasks, observers=[Lies()]).run_once() == RunCounts(1, 0)
    assert any("make it async def" in line for line in log.lines)


async def test_one_that_blocks_its_thread_does_not_block_the_loop(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob
) -> None:
    hanging = Hangs()
    await add_job("note")
    async with Runner(engine, tasks, observers=[hanging]):
        for _ in range(100):
            await anyio.sleep(0.001)
        hanging.let_go.set()


async def test_the_memory_for_what_waits_is_bounded_by_payloads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "_MOST_CHARACTERS", 100)
    waiting = backlog.Backlog("test")
    event = Completed(job=a_job("x" * 60))
    assert [len(waiting.put([event])) for _ in range(3)] == [1, 1, 0]
    waiting.take([event])
    waiting.told += 1
    assert len(waiting.put([event] * 5)) == 1, "of a batch those that there is room for"
    assert (waiting.waiting, waiting.dropped) == (2, 5)


@pytest.mark.parametrize("wrong", [Observer, object(), print])
async def test_what_is_no_observer_is_refused(engine: AsyncEngine, tasks: TaskRegistry, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"observers: .* is no Observer"):
        Runner(engine, tasks, observers=[wrong])


async def test_an_error_of_the_worker_leaves_as_itself(engine: AsyncEngine, tasks: TaskRegistry) -> None:
    """Not in a group, for the sake of the tasks that tell observers."""
    settings = RunnerSettings(schema="no_such_schema")
    with pytest.raises(SchemaMissingError):
        await Runner(engine, tasks, settings, observers=[Everything(is_async=True)]).run_once()
    observers = Observers([Everything(is_async=True), Everything(is_async=False)])
    with pytest.raises(ZeroDivisionError):
        async with observers.delivering():
            raise ZeroDivisionError


async def test_a_cancelled_block_tells_the_last_events_all_the_same() -> None:
    everything = Everything(is_async=True)
    observers = Observers([everything])
    with anyio.CancelScope() as scope:
        async with observers.delivering():
            scope.cancel()
            observers.tell(Returned(job=a_job("{}")))
            await anyio.sleep_forever()
    assert [type(event) for event in everything.told] == [Returned]


def a_job(payload: str) -> Any:
    """A claimed job with this payload."""
    return ClaimedJob(1, "note", payload, None, 0, datetime.now(UTC), 1, 25, None, None, 0, None)
