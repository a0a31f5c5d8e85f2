"""A runner with cron items: schedules and runs them, refuses what cannot work, and claims whatever cron waits for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    CronItem,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

MINUTE = timedelta(minutes=1)


class Report(BaseModel):
    """A payload that knows nothing of ``_cron``."""

    to: str


async def make_known(sessions: Sessions, *identifiers: str) -> None:
    """Let cron items have been known for an hour."""
    async with sessions.begin() as session:
        for identifier in identifiers:
            await session.execute(
                text("insert into graphile_worker._private_known_crontabs values (:identifier, :since)"),
                {"identifier": identifier, "since": datetime.now(UTC) - timedelta(hours=1)},
            )


async def test_items_of_the_registry_and_of_the_settings_are_scheduled_and_run(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    sessions: Sessions,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reports: list[Report] = []
    plain: list[Any] = []

    @tasks.cron("* * * * *", fill=3 * MINUTE, payload={"to": "a"})
    @tasks.task("report")
    async def report(payload: Report) -> None:
        reports.append(payload)

    @tasks.task("plain")
    async def plain_(payload: Any) -> None:
        plain.append(payload)

    caplog.set_level(logging.INFO, "gw_sqla.worker.worker_pool")
    await make_known(sessions, "report", "other")
    items = [CronItem("plain", "* * * * *", id="other", fill=2 * MINUTE), CronItem("of_node", "@yearly")]
    async with Runner(engine, tasks, RunnerSettings(crontab=items), observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) >= 5)
    assert reports[:3] == [Report(to="a")] * 3
    assert all(payload["_cron"]["ts"].endswith(":00.000Z") for payload in plain)
    assert plain[0]["_cron"]["backfilled"] is True
    assert "schedules 3 cron items" in caplog.text
    assert "cron item of_node: its task of_node is none of this worker's" in caplog.text


async def test_run_once_schedules_nothing(engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions) -> None:
    @tasks.cron("* * * * *", fill=3 * MINUTE)
    @tasks.task("note")
    async def note() -> None: ...

    await make_known(sessions, "note")
    assert await Runner(engine, tasks).run_once() == RunCounts(0, 0)


async def test_what_cannot_work_is_refused_when_the_runner_is_made(engine: AsyncEngine, tasks: TaskRegistry) -> None:
    @tasks.cron("0 4 * * *", payload={"to": "a"})
    @tasks.task("report")
    async def report(payload: Report) -> None: ...

    for item, problem in (
        (CronItem("report", "0 5 * * *", payload={"to": "b"}), "two items have this identifier"),
        (CronItem("report", "0 5 * * *", id="b"), "payload: does not fit its task: to: Field required"),
    ):
        with pytest.raises(ConfigurationError, match=f"^cron item '{item.identifier}': {problem}"):
            Runner(engine, tasks, RunnerSettings(crontab=[item]))


async def test_jobs_are_claimed_and_a_stop_is_heard_while_cron_waits_for_a_lock(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, recorder: Recorder, add_job: AddJob
) -> None:
    @tasks.cron("* * * * *")
    @tasks.task("note")
    async def note() -> None: ...

    async with sessions.begin() as session:
        await session.execute(text("lock table graphile_worker._private_known_crontabs in access exclusive mode"))
        with anyio.fail_after(30):
            async with Runner(engine, tasks, observers=[recorder]):
                for number in range(3):
                    await add_job(note)
                    await recorder.until(lambda least=number: len(recorder.completed) > least)  # type: ignore[misc]
