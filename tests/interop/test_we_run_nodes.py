"""Jobs that Node's addJob and addJobs and plain SQL add, seen and run by our runner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import ClaimedJob, JobContext, RunCounts, Runner, RunnerSettings, TaskRegistry
from tests.interop.conftest import Environment, Fetch
from tests.interop.node import call
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

LEAP_DAY = "2024-02-29T12:34:56.789Z"


class Mail(BaseModel):
    to: str
    copies: int = 1


@pytest.fixture
def mails(tasks: TaskRegistry) -> list[tuple[Mail, ClaimedJob]]:
    """What the handler of the task "mail" was given."""
    given: list[tuple[Mail, ClaimedJob]] = []

    @tasks.task("mail")
    async def mail(payload: Mail, ctx: JobContext) -> None:
        given.append((payload, ctx.job))

    return given


async def test_add_job(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    mails: list[tuple[Mail, ClaimedJob]],
    environment: Environment,
    fetch: Fetch,
) -> None:
    spec = {
        "queueName": "serial",
        "runAt": LEAP_DAY,
        "maxAttempts": 3,
        "jobKey": "mail:7",
        "priority": -5,
        "flags": ["big"],
    }
    (added,) = await call(environment, ["addJob", "mail", {"to": "žofia@example.com"}, spec])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    ((payload, job),) = mails
    assert payload == Mail(to="žofia@example.com")
    assert job == ClaimedJob(
        id=int(added["id"]),
        task_identifier="mail",
        payload_text=job.payload_text,
        queue_name="serial",
        priority=-5,
        run_at=datetime(2024, 2, 29, 12, 34, 56, 789_000, UTC),
        attempts=1,
        max_attempts=3,
        key="mail:7",
        flags_text='{"big": true}',
        locked_us=job.locked_us,
        queue_id=job.queue_id,
    )
    assert job.flags == {"big": True}
    assert job.payload == {"to": "žofia@example.com"}
    assert await fetch("select * from graphile_worker._private_jobs") == []
    (queue,) = await fetch("select locked_at, locked_by from graphile_worker._private_job_queues")
    assert tuple(queue) == (None, None)


async def test_add_jobs(
    engine: AsyncEngine, tasks: TaskRegistry, mails: list[tuple[Mail, ClaimedJob]], environment: Environment
) -> None:
    specs: list[dict[str, Any]] = [
        {"identifier": "mail", "payload": {"to": str(number), "copies": number}, "queueName": f"queue {number % 3}"}
        for number in range(10)
    ]
    await call(environment, ["addJobs", specs])
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=10, failed=0)
    assert sorted(payload.copies for payload, _ in mails) == list(range(10))


async def test_plain_sql(
    engine: AsyncEngine, tasks: TaskRegistry, mails: list[tuple[Mail, ClaimedJob]], fetch: Fetch
) -> None:
    await fetch("""select graphile_worker.add_job('mail', '{"to": "positions"}')""")
    await fetch("""select graphile_worker.add_job('mail', json_build_object('to', 'names'), flags := array['x'])""")
    await fetch("""
        select * from graphile_worker.add_jobs(array[
          ('mail', '{"to": "composite"}', null, null, null, null, null, null)::graphile_worker.job_spec
        ])
    """)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=3, failed=0)
    assert [payload.to for payload, _ in mails] == ["positions", "names", "composite"]


async def test_what_does_not_fit_fails_its_job_alone(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    mails: list[tuple[Mail, ClaimedJob]],
    recorder: Recorder,
    environment: Environment,
) -> None:
    await call(
        environment,
        ["addJob", "mail", {"To": "nobody"}],
        ["addJob", "mail"],
        ["addJob", "mail", {"to": "somebody", "_trace": {"trace_id": "1"}}],
    )
    counts = await Runner(engine, tasks, observers=[recorder]).run_once()
    assert counts == RunCounts(completed=1, failed=2)
    assert [payload.to for payload, _ in mails] == ["somebody"]
    assert all("to" in outcome.message for outcome in recorder.failed)


async def test_order_time_and_flags_are_respected(
    engine: AsyncEngine, tasks: TaskRegistry, recorder: Recorder, environment: Environment, fetch: Fetch
) -> None:
    @tasks.task("t")
    async def t(payload: str) -> None: ...

    await call(
        environment,
        ["addJob", "t", "last", {"priority": 1, "runAt": "2024-01-01T00:00:00Z"}],
        ["addJob", "t", "second", {"runAt": "2024-01-01T00:00:02Z"}],
        ["addJob", "t", "first", {"runAt": "2024-01-01T00:00:01Z"}],
        ["addJob", "t", "in a century", {"runAt": "2124-01-01T00:00:00Z"}],
        ["addJob", "t", "forbidden", {"flags": ["big"]}],
        ["addJob", "unknown to us", "unknown"],
    )
    settings = RunnerSettings(concurrency=1, forbidden_flags=["big"])
    await Runner(engine, tasks, settings, observers=[recorder]).run_once()
    assert [job.payload for job in recorder.started] == ["first", "second", "last"]
    left = await fetch("select payload::text, attempts, locked_at from graphile_worker._private_jobs order by id")
    assert [tuple(row) for row in left] == [
        ('"in a century"', 0, None),
        ('"forbidden"', 0, None),
        ('"unknown"', 0, None),
    ]
