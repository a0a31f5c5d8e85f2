"""Notifications are hints: whatever their payload is, nothing breaks; observers cannot break anything either."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobStarted, Observer, Runner, TaskRegistry, async_sessionmaker
from gw_sqla.worker.listener import breaks_us, job_count
from tests.support.recorder import Recorder
from tests.worker.conftest import ONLY_NOTIFIED, AddJob

JSON_TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=15), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        ('{"r":0.5,"count":3}', 3),
        ('{"count":-1}', -1),
        ('{"count":0}', 0),
        ('{"count":"many"}', 1),
        ('{"count":null}', 1),
        ("{}", 1),
        ("[]", 1),
        ("", 1),
        ("rubbish", 1),
        ("[" * 100_000, 1),
    ],
)
def test_job_count(payload: str, count: int) -> None:
    assert job_count(payload) == count


@given(st.text() | JSON_TEXTS.map(str))
def test_any_payload_is_read_without_an_error(payload: str) -> None:
    assert isinstance(job_count(payload), int)
    assert breaks_us(payload, 19) is False


@pytest.mark.parametrize(
    ("payload", "breaking"),
    [
        ('{"migrationNumber": 20, "breaking": true}', True),
        ('{"migrationNumber": 19, "breaking": true}', False),
        ('{"migrationNumber": 20, "breaking": false}', False),
        ('{"migrationNumber": "20", "breaking": true}', False),
        ('{"breaking": true}', False),
    ],
)
def test_breaking_migration(payload: str, breaking: bool) -> None:
    assert breaks_us(payload, 19) is breaking


@pytest.mark.anyio
@pytest.mark.parametrize("payload", ["", "rubbish", "[]", '{"count": "many"}'])
async def test_unreadable_notification_wakes_the_worker(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: async_sessionmaker[AsyncSession],
    recorder: Recorder,
    add_job: AddJob,
    payload: str,
) -> None:
    @tasks.task("note")
    async def note() -> None: ...

    row = await add_job(note, run_at=datetime.now(UTC) + timedelta(hours=1))
    async with Runner(engine, tasks, ONLY_NOTIFIED, observers=[recorder]):
        await add_job(note)
        await recorder.until(lambda: recorder.completed)  # it listens, and has looked
        async with sessions.begin() as session:
            await JobRepository().reschedule_jobs(session, [row.id], run_at=datetime.now(UTC))  # sends nothing
            await session.execute(select(func.pg_notify("jobs:insert", payload)))
        await recorder.until(lambda: len(recorder.completed) == 2)


@pytest.mark.anyio
async def test_observer_that_raises_breaks_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Observer):
        def job_started(self, event: JobStarted) -> None:
            raise ValueError("my own fault")

    @tasks.task("note")
    async def note() -> None: ...

    await add_job(note)
    counts = await Runner(engine, tasks, observers=[Broken(), recorder]).run_once()
    assert counts.completed == 1
    assert len(recorder.started) == len(recorder.completed) == 1
    assert "observer Broken failed" in caplog.text
