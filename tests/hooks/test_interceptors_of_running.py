"""Interceptors around the running of jobs: what they see, change and decide, and what is no outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    SKIP,
    AsyncSession,
    CallNext,
    ClaimedJob,
    ConfigurationError,
    FailPermanently,
    Interceptor,
    JobContext,
    JobRepository,
    Runner,
    RunnerSettings,
    Snooze,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.worker.worker_pool import RunCounts
from tests.hooks.conftest import AddJob
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
Run = Callable[..., Any]

ONE_BY_ONE = RunnerSettings(concurrency=1)


@pytest.fixture
def run_once(engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder) -> Run:
    """Run what is ready by a worker with these interceptors."""

    async def run(*interceptors: Interceptor) -> RunCounts:
        return await Runner(engine, tasks, ONE_BY_ONE, observers=[recorder], interceptors=interceptors).run_once()

    return run


@pytest.fixture
def noted(tasks: TaskRegistry) -> list[Any]:
    """What the task note was given."""
    given: list[Any] = []

    @tasks.task("note")
    async def note(payload: Any) -> None:
        given.append(payload)

    return given


class Around(Interceptor):
    """Notes when it was around which job."""

    def __init__(self, name: str, noted: list[Any]) -> None:
        self._name = name
        self._noted = noted

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        self._noted.append(f"{self._name} begins {job.payload}")
        try:
            return await call_next(job)
        finally:
            self._noted.append(f"{self._name} ends")


async def test_the_first_is_the_outermost(run_once: Run, noted: list[Any], add_job: AddJob) -> None:
    await add_job("note", 1)
    assert await run_once(Around("first", noted), Around("second", noted)) == RunCounts(1, 0)
    assert noted == ["first begins 1", "second begins 1", 1, "second ends", "first ends"]


async def test_one_that_overrides_nothing_is_not_there(run_once: Run, noted: list[Any], add_job: AddJob) -> None:
    await add_job("note", 1)
    assert await run_once(Interceptor()) == RunCounts(1, 0)
    assert noted == [1]


class Change(Interceptor):
    """Gives another payload to what comes after it."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        return await call_next(job.with_payload(self._change(job.payload)))


async def test_the_handler_is_given_another_payload_and_the_row_keeps_its_own(
    run_once: Run, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, repo: JobRepository
) -> None:
    seen: list[Any] = []

    @tasks.task("fails")
    async def fails(payload: dict[str, int], ctx: JobContext) -> None:
        seen.extend([payload, ctx.job.payload])
        raise ValueError

    row = await add_job("fails", {"n": 1})
    await run_once(Around("before", seen), Change(lambda payload: {"n": payload["n"] + 1}), Around("after", seen))
    assert seen == ["before begins {'n': 1}", "after begins {'n': 2}", {"n": 2}, {"n": 2}, "after ends", "before ends"]
    async with sessions() as session:
        job = await repo.get_job(session, row.id)
    assert job is not None
    assert job.payload == {"n": 1}


class Typed(BaseModel):
    """A payload that has a number."""

    number: int


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: {"number": "five"}, "InvalidPayloadError"),
        (lambda _: object(), "InvalidPayloadError"),
    ],
)
async def test_a_payload_of_a_wrong_type_fails_the_job(
    run_once: Run, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, change: Callable[[Any], Any], says: str
) -> None:
    @tasks.task("typed")
    async def typed(payload: Typed) -> None: ...

    await add_job(typed, Typed(number=5))
    assert await run_once(Change(change)) == RunCounts(0, 1)
    assert type(recorder.failed[0].exception).__name__ == says


class Returns(Interceptor):
    """Returns something without calling what comes next, or raises it."""

    def __init__(self, what: Any) -> None:
        self._what = what

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        if isinstance(self._what, BaseException) and not isinstance(self._what, Snooze):
            raise self._what
        return self._what


@pytest.mark.parametrize(
    ("what", "counts"),
    [
        (SKIP, RunCounts(1, 0)),
        (ValueError("no"), RunCounts(0, 1)),
        (FailPermanently("no"), RunCounts(0, 1)),
        (Snooze(timedelta(hours=1), "not now"), RunCounts(0, 0, snoozed=1)),
        (None, RunCounts(0, 1)),
        (5, RunCounts(0, 1)),
    ],
)
async def test_it_decides_without_the_handler(
    run_once: Run, noted: list[Any], recorder: Recorder, add_job: AddJob, what: Any, counts: RunCounts
) -> None:
    await add_job("note", 1)
    assert await run_once(Returns(what)) == counts
    assert noted == []
    for failed in recorder.failed:
        if what is None or what == 5:
            assert "has returned and not called call_next: to skip a job it returns SKIP" in failed.message
        assert failed.is_final == isinstance(what, FailPermanently)


class Twice(Interceptor):
    """Runs a job twice."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        await call_next(job)
        return await call_next(job)


async def test_a_job_is_not_run_twice(run_once: Run, noted: list[Any], recorder: Recorder, add_job: AddJob) -> None:
    await add_job("note", 1)
    assert await run_once(Twice()) == RunCounts(0, 1)
    assert noted == [1]
    assert "has called call_next twice" in recorder.failed[0].message


class Later(Interceptor):
    """Keeps what it was given, and calls it for the next job."""

    kept: CallNext | None = None

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        if self.kept is not None:
            return await self.kept(job)
        self.kept = call_next
        return SKIP


async def test_what_it_kept_calls_nothing_later(
    run_once: Run, noted: list[Any], recorder: Recorder, add_job: AddJob
) -> None:
    for number in (1, 2):
        await add_job("note", number)
    assert await run_once(Later()) == RunCounts(1, 1)
    assert noted == []
    assert "after its end" in recorder.failed[0].message


class OtherJob(Interceptor):
    """Gives something else than the job."""

    def __init__(self, other: Callable[[ClaimedJob], Any]) -> None:
        self._other = other

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        return await call_next(self._other(job))


@pytest.mark.parametrize(
    ("other", "says"),
    [(lambda job: job.payload, "has given call_next a int"), (lambda job: job._replace(id=0), "another job")],
)
async def test_what_is_not_the_job_fails_it(
    run_once: Run,
    noted: list[Any],
    recorder: Recorder,
    add_job: AddJob,
    other: Callable[[ClaimedJob], Any],
    says: str,
) -> None:
    await add_job("note", 1)
    assert await run_once(OtherJob(other)) == RunCounts(0, 1)
    assert says in recorder.failed[0].message


class Deadline(Interceptor):
    """Cuts the handler off, and returns as if nothing were."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        with anyio.move_on_after(0.01):
            return await call_next(job)


class Cancels(Interceptor):
    """Raises a cancellation that nobody asked for."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call_next(job)
        return None


@pytest.mark.parametrize("interceptor", [Deadline(), Cancels()])
async def test_a_handler_that_it_cuts_off_has_failed(
    run_once: Run, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, interceptor: Interceptor
) -> None:
    @tasks.task("endless")
    async def endless() -> None:
        await anyio.sleep_forever()

    await add_job(endless)
    assert await run_once(interceptor) == RunCounts(0, 1)
    assert "has cut off the handler" in recorder.failed[0].message


class Swallows(Interceptor):
    """Catches what a handler raises."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        try:
            return await call_next(job)
        except ValueError:
            return None


async def test_it_may_catch_what_the_handler_raises(run_once: Run, tasks: TaskRegistry, add_job: AddJob) -> None:
    @tasks.task("fails")
    async def fails() -> None:
        raise ValueError

    await add_job(fails)
    assert await run_once(Swallows()) == RunCounts(1, 0)


TENANT: ContextVar[str] = ContextVar("TENANT")


class Tenant(Interceptor):
    """Sets a context variable around a job."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        token = TENANT.set(job.payload)
        try:
            return await call_next(job)
        finally:
            TENANT.reset(token)


async def test_context_variables_reach_the_handler_and_no_other_job(
    run_once: Run, tasks: TaskRegistry, add_job: AddJob
) -> None:
    seen: list[Any] = []

    @tasks.task("in_loop")
    async def in_loop() -> None:
        seen.append(TENANT.get())

    @tasks.task("in_thread")
    def in_thread() -> None:
        assert threading.current_thread() is not threading.main_thread()
        seen.append(TENANT.get())

    await add_job("in_loop", "first")
    await add_job("in_thread", "second")
    assert await run_once(Tenant()) == RunCounts(2, 0)
    assert seen == ["first", "second"]
    with pytest.raises(LookupError):
        TENANT.get()


class Forgetful(Interceptor):
    """Sets a context variable and leaves it."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        if job.payload:
            TENANT.set(job.payload)
        return await call_next(job)


async def test_one_that_is_not_reset_is_not_there_for_the_next_job(
    run_once: Run, tasks: TaskRegistry, add_job: AddJob
) -> None:
    seen: list[str] = []

    @tasks.task("look")
    async def look() -> None:
        seen.append(TENANT.get("none"))

    await add_job("look", "mine")
    await add_job("look", "")
    assert await run_once(Forgetful()) == RunCounts(2, 0)
    assert seen == ["mine", "none"]


async def test_the_items_of_a_batch_that_fail_are_kept_as_they_were(
    run_once: Run, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, repo: JobRepository
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> list[Any]:
        return [ValueError(item) if item == 20 else None for item in payload]

    row = await add_job("batch", [1, 2, 3])
    assert await run_once(Change(lambda items: [10 * item for item in items])) == RunCounts(0, 1)
    async with sessions() as session:
        job = await repo.get_job(session, row.id)
    assert job is not None
    assert job.payload == [2]


async def test_a_batch_keeps_the_number_of_its_items(
    run_once: Run, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.task("batch", batch=True)
    async def batch(payload: list[int]) -> None: ...

    await add_job("batch", [1, 2, 3])
    assert await run_once(Change(lambda items: items[1:])) == RunCounts(0, 1)
    assert "has changed the number of a batch's items" in recorder.failed[0].message


async def test_a_transaction_of_the_handlers_that_completed_the_job_goes_before_its_failure(
    run_once: Run, tasks: TaskRegistry, add_job: AddJob
) -> None:
    class FailsAfter(Interceptor):
        async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
            await call_next(job)
            raise ValueError("too late")

    @tasks.task("own", transactional=True)
    async def own(session: AsyncSession) -> None: ...

    await add_job(own)
    assert await run_once(FailsAfter()) == RunCounts(1, 0)


async def test_a_cancellation_of_the_worker_passes_through(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob
) -> None:
    noted: list[Any] = []
    running = anyio.Event()

    @tasks.task("endless")
    async def endless() -> None:
        running.set()
        await anyio.sleep_forever()

    await add_job(endless)
    runner = Runner(engine, tasks, observers=[recorder], interceptors=[Around("it", noted)])
    async with runner:
        with anyio.fail_after(20):
            await running.wait()
        runner.stop(at_once=True)
    assert noted == ["it begins {}", "it ends"]
    assert recorder.failed[0].message == "the worker was shut down before the job ended"


async def test_jobs_that_handlers_add_go_through_its_other_half(
    run_once: Run, tasks: TaskRegistry, noted: list[Any], add_job: AddJob
) -> None:
    class Doubles(Interceptor):
        def add_job(self, spec: Any) -> Any:
            return replace(spec, payload=2 * spec.payload)

    @tasks.task("parent")
    async def parent(ctx: JobContext) -> None:
        await ctx.add_job("note", 5)
        async with ctx.session() as session:
            await ctx.repository.add_job(session, "note", 6)

    await add_job(parent)
    assert await run_once(Doubles()) == RunCounts(3, 0)
    assert sorted(noted) == [10, 12]


@pytest.mark.parametrize("wrong", [Interceptor, object(), print])
async def test_what_is_no_interceptor_is_refused(engine: AsyncEngine, tasks: TaskRegistry, wrong: Any) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    with pytest.raises(ConfigurationError, match=r"interceptors: .* is no Interceptor"):
        Runner(engine, tasks, interceptors=[wrong])
    with pytest.raises(ConfigurationError, match=r"interceptors: .* is no Interceptor"):
        JobRepository(interceptors=[wrong])
