"""A payload that is too large is refused where it is added, and never fetched where it is claimed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    InvalidPayloadError,
    JobContext,
    JobRepository,
    JobSpec,
    RunCounts,
    Runner,
    RunnerSettings,
    SyncJobRepository,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.execution.executor import OVERSIZED
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.run import Run
from gw_sqla.statements.claim_rules import MOST_BYTES
from gw_sqla.worker.local_queue import LocalQueue
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

SMALL = JobRepository(max_payload_size=2000)
FITS, IS_TOO_LARGE = "é" * 999, "é" * 1000  # in bytes, with their quotes: 2000 and 2002


async def add(session: AsyncSession, payload: str) -> object:
    return await SMALL.add_job(session, "note", payload)


async def add_many(session: AsyncSession, payload: str) -> object:
    return await SMALL.add_jobs(
        session, [JobSpec(task_identifier="note"), JobSpec(task_identifier="note", payload=payload)]
    )


async def count_many(session: AsyncSession, payload: str) -> object:
    return await SMALL.add_jobs(session, [JobSpec(task_identifier="note", payload=payload)], return_rows=False)


async def add_on_commit(session: AsyncSession, payload: str) -> object:
    return SMALL.add_job_on_commit(session, "note", payload)


async def add_made_on_commit(session: AsyncSession, payload: str) -> object:
    handle = SMALL.add_job_on_commit(session, "note", lambda: payload)
    await session.commit()
    return handle


async def add_by_a_sync_session(session: AsyncSession, payload: str) -> object:
    sync = SyncJobRepository(max_payload_size=2000)
    return await session.run_sync(lambda inner: sync.add_job(inner, "note", payload))


@pytest.mark.parametrize("way", [add, add_many, count_many, add_on_commit, add_made_on_commit, add_by_a_sync_session])
async def test_it_is_refused_where_it_is_added(sessions: Sessions, way: Callable[..., Any]) -> None:
    async with sessions() as session:
        await way(session, FITS)
        await session.commit()
    async with sessions() as session:
        with pytest.raises(
            InvalidPayloadError, match="is 2002 bytes of JSON, and max_payload_size is 2000: store it"
        ) as caught:
            await way(session, IS_TOO_LARGE)
    assert (
        str(caught.value).startswith("payload: of specs[1] " if way is add_many else "payload: ") or way is count_many
    )


async def test_a_handler_adds_none_either(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder
) -> None:
    @tasks.task("work")
    async def work(ctx: JobContext) -> None:
        await ctx.add_job("note", IS_TOO_LARGE)

    await add_job(work)
    await Runner(engine, tasks, RunnerSettings(max_payload_size=2000), observers=[recorder]).run_once()
    assert "max_payload_size is 2000" in recorder.failed[0].message


@pytest.mark.parametrize("queue_name", [None, "q"])
async def test_it_is_not_fetched(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, queue_name: str | None
) -> None:
    """It was added by somebody without a bound; it fails, and those behind it run."""
    seen: list[str] = []

    @tasks.task("note")
    async def note(payload: str) -> None:
        seen.append(payload)

    job = await add_job(note, IS_TOO_LARGE, queue_name=queue_name, max_attempts=2)
    await add_job(note, FITS, queue_name=queue_name)
    counts = await Runner(engine, tasks, RunnerSettings(max_payload_size=2000)).run_once()
    assert counts == RunCounts(completed=1, failed=1)
    assert seen == [FITS]
    async with sessions() as session:
        details = await JobRepository().get_job(session, job.id)
    assert details is not None
    assert (details.attempts, details.last_error, details.locked_by) == (1, OVERSIZED, None)


async def test_it_is_left_to_others(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    @tasks.task("note")
    async def note(payload: str) -> None: ...

    job = await add_job(note, IS_TOO_LARGE)
    await add_job(note, FITS)
    leaving = RunnerSettings(max_payload_size=2000, oversized_jobs="leave")
    assert await Runner(engine, tasks, leaving).run_once() == RunCounts(completed=1, failed=0)
    async with sessions() as session:
        details = await JobRepository().get_job(session, job.id)
    assert details is not None
    assert (details.attempts, details.last_error) == (0, None)
    anything = RunnerSettings(max_payload_size=None)
    assert await Runner(engine, tasks, anything).run_once() == RunCounts(completed=1, failed=0)


async def test_jobs_of_many_bytes_all_run(engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions) -> None:
    """More than one claim fetches: nothing waits for the next poll."""

    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [note.spec() for _ in range(4)])
        await session.execute(text("update graphile_worker._private_jobs set payload = to_json(repeat('x', 30000000))"))
    settings = RunnerSettings(max_payload_size=2**25, prefetch=20, poll_interval=timedelta(hours=1))
    assert await Runner(engine, tasks, settings).run_once() == RunCounts(completed=4, failed=0)


def test_no_more_is_claimed_while_many_bytes_wait() -> None:
    queue = LocalQueue(concurrency=1, prefetch=100, prefetch_ttl=timedelta(minutes=5))
    large = "x" * (MOST_BYTES // 2)
    runs = [
        Run(ClaimedJob(number, "note", large, None, 0, datetime.now(UTC), 1, 25, None, None, 0, None))
        for number in range(3)
    ]
    queue.put(runs[:1])
    assert queue.wanted(0) > 0
    queue.put(runs[1:])
    assert queue.wanted(0) == 0
    queue.take()
    assert queue.wanted(0) == 0
    queue.drop({runs[1]})
    assert queue.wanted(0) > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_payload_size", 0),
        ("max_payload_size", True),
        ("max_payload_size", "1000"),
        ("max_payload_size", 2**31),
        ("oversized_jobs", "drop"),
    ],
)
def test_settings(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}: must be"):
        RunnerSettings(**{field: value})  # type: ignore[arg-type]
    if field == "max_payload_size":
        with pytest.raises(ConfigurationError, match="max_payload_size: must be"):
            JobRepository(max_payload_size=value)  # type: ignore[arg-type]
