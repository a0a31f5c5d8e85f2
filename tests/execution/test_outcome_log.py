"""What outcomes leave in the log: a line each, with fields; what many jobs have is not told for each of them."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import SKIP, CallNext, ClaimedJob, Interceptor, Runner, Snooze, TaskRegistry
from gw_sqla.error_texts import repetition
from gw_sqla.error_texts.repetition import Repetition
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

FIELDS = {
    "outcome",
    "job_id",
    "task_identifier",
    "queue_name",
    "attempt",
    "max_attempts",
    "seconds",
    "wait_seconds",
}


async def test_each_outcome_has_a_line_with_its_fields(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    class Skips(Interceptor):
        async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
            return SKIP if job.payload == "skip" else await call_next(job)

    @tasks.task("do")
    async def do(payload: str) -> None:
        if payload == "fail":
            raise ValueError("as asked")
        if payload == "snooze":
            raise Snooze(timedelta(hours=1), "not now")

    for what, level in {"complete": "DEBUG", "skip": "INFO", "snooze": "INFO", "fail": "WARNING"}.items():
        caplog.clear()
        row = await add_job("do", what)
        with caplog.at_level(logging.DEBUG, "gw_sqla.outcome"):
            await Runner(engine, tasks, interceptors=[Skips()]).run_once()
        lines = [record for record in caplog.records if record.name == "gw_sqla.outcome"]
        assert vars(lines[0]).keys() >= FIELDS
        assert (lines[0].levelname, vars(lines[0])["job_id"]) == (level, row.id)
        assert all("complete" not in vars(line).get("payload", "") for line in lines)
    caplog.clear()
    await add_job("do", "fail", max_attempts=1)
    await Runner(engine, tasks).run_once()
    [line] = [record for record in caplog.records if record.name == "gw_sqla.outcome"]
    assert (line.levelname, vars(line)["outcome"]) == ("ERROR", "failed permanently")


async def test_what_a_thousand_jobs_have_is_told_of_some(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repetition, "_SPAN_SECONDS", 1000.0)

    @tasks.task("fail")
    async def fail() -> None:
        raise ValueError("as asked")

    @tasks.task("other")
    async def other() -> None:
        raise ValueError("another")

    for _ in range(30):
        await add_job("fail")
    await add_job("other")
    assert (await Runner(engine, tasks).run_once()).failed == 31
    lines = [record.getMessage() for record in caplog.records if record.name == "gw_sqla.outcome"]
    assert len([line for line in lines if "as asked" in line]) == 20
    assert len([line for line in lines if "another" in line]) == 1
    assert lines[-1] == "10 more failures of task fail were not logged"


async def test_repetition_begins_anew_and_says_what_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "_SPAN_SECONDS", 0.0)
    kept = Repetition()
    assert [kept.may_be_said("a") for _ in range(22)].count(True) == 20
    assert kept.is_span_over
    assert kept.begin_span() == ["2 more a were not logged"]
    assert kept.begin_span() == []
    assert kept.may_be_said("a")


async def test_ten_thousand_kinds_take_bounded_memory() -> None:
    kept = Repetition()
    said = [kept.may_be_said(f"kind {number}") for number in range(10_000)]
    assert said.count(True) == 400, "of all kinds together"
    assert sum(sys.getsizeof(part) for part in vars(kept).values()) < 200_000
    left_out = kept.begin_span()
    assert len(left_out) == 21
    assert sum(int(line.split()[0]) for line in left_out) == 9_600
