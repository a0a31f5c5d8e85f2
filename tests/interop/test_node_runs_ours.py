"""Jobs that JobRepository adds, seen and run by Node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gw_sqla import AsyncSession, JobRepository, JobSpec, async_sessionmaker
from tests.interop.conftest import AddJob, Environment, Fetch
from tests.interop.node import run_once

pytestmark = pytest.mark.anyio

PAYLOADS: list[Any] = [
    {"text": "späť 🐘 \\ \" '", "deep": [{"a": [1, 2.5, True, None]}], "empty": {}},
    [1, "two", {"three": 3}],
    "plain text",
    0,
    None,
]


async def test_every_field_arrives(add_job: AddJob, environment: Environment, fetch: Fetch) -> None:
    run_at = datetime(2024, 2, 29, 12, 34, 56, 789_000, UTC)
    job = await add_job(
        "report",
        {"id": 7},
        queue_name="serial",
        run_at=run_at,
        max_attempts=3,
        job_key="report:7",
        priority=-5,
        flags=["big", "slow"],
    )
    (seen,) = await run_once(environment, {"report": "pass"})
    expected = {
        "id": job.id,
        "task_identifier": "report",
        "payload": {"id": 7},
        "queue_name": "serial",
        "run_at": "2024-02-29T12:34:56.789Z",
        "max_attempts": 3,
        "key": "report:7",
        "priority": -5,
        "flags": {"big": True, "slow": True},
        "attempts": 1,
        "revision": 0,
        "last_error": None,
    }
    assert {name: seen[name] for name in expected} == expected
    assert await fetch("select * from graphile_worker._private_jobs") == []
    (queue,) = await fetch("select locked_at, locked_by from graphile_worker._private_job_queues")
    assert tuple(queue) == (None, None)


async def test_defaults_are_the_peers(add_job: AddJob, environment: Environment) -> None:
    await add_job("plain")
    (seen,) = await run_once(environment, {"plain": "pass"})
    assert seen["payload"] == {}
    assert (seen["priority"], seen["max_attempts"], seen["key"], seen["flags"]) == (0, 25, None, None)
    assert seen["queue_name"] is None


async def test_payloads_arrive_as_they_are(
    sessions: async_sessionmaker[AsyncSession], repo: JobRepository, environment: Environment
) -> None:
    async with sessions.begin() as session:
        await repo.add_jobs(
            session,
            [JobSpec(task_identifier="t", payload=payload, priority=place) for place, payload in enumerate(PAYLOADS)],
        )
    seen = await run_once(environment, {"t": "pass"})
    assert [job["payload"] for job in seen] == [*PAYLOADS[:-1], {}]  # no payload is an empty object


async def test_order_time_and_flags_are_respected(add_job: AddJob, environment: Environment, fetch: Fetch) -> None:
    now = datetime.now(UTC)
    await add_job("t", "last", priority=1, run_at=now - timedelta(hours=2))
    await add_job("t", "second", run_at=now - timedelta(minutes=1))
    await add_job("t", "first", run_at=now - timedelta(minutes=2))
    await add_job("t", "tomorrow", run_at=now + timedelta(days=1))
    await add_job("t", "forbidden", flags=["big"])
    await add_job("unknown to Node", "unknown")
    seen = await run_once(environment, {"t": "pass"}, forbiddenFlags=["big"])
    assert [job["payload"] for job in seen] == ["first", "second", "last"]
    left = await fetch("select payload::text, attempts, locked_at from graphile_worker._private_jobs order by id")
    assert [tuple(row) for row in left] == [
        ('"tomorrow"', 0, None),
        ('"forbidden"', 0, None),
        ('"unknown"', 0, None),
    ]
