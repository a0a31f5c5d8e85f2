"""add_job: what it stores and returns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel

from gw_sqla import (
    AsyncSession,
    InvalidPayloadError,
    JobKeyMode,
    JobRepository,
    JobRow,
    TaskRegistry,
    async_sessionmaker,
)
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
LATER = datetime(2100, 1, 1, tzinfo=UTC)


class Email(BaseModel):
    to: str


tasks = TaskRegistry()


@tasks.task("send_email")
async def send_email(payload: Email) -> None:
    """Nothing to do: only added here."""


@tasks.task("nightly")
async def nightly() -> None:
    """Takes no payload."""


async def add(sessions: Sessions, repo: JobRepository, payload: Any = None, **options: Any) -> JobRow:
    async with sessions.begin() as session:
        return await repo.add_job(session, "a", payload, **options)


async def test_defaults(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    job = await add(sessions, repo)
    [stored] = (await look.jobs()).values()
    assert job.payload == {}
    assert (job.priority, job.attempts, job.max_attempts, job.revision) == (0, 0, 25, 0)
    assert job.run_at == job.created_at == job.updated_at == stored["run_at"]
    assert [job.last_error, job.key, job.locked_at, job.locked_by, job.flags, job.job_queue_id] == [None] * 6
    assert (job.id, job.task_id) == (stored["id"], stored["task_id"])


async def test_every_option(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    run_at = LATER.astimezone(timezone(timedelta(hours=5, minutes=30)))
    job = await add(
        sessions,
        repo,
        {"n": [1, None, "ü \\u0000"]},
        queue_name="q",
        run_at=run_at,
        max_attempts=3,
        job_key="k",
        priority=-7,
        flags=["x", "y"],
    )
    [view] = await look.rows("select * from {s}.jobs")
    [stored] = (await look.jobs()).values()
    assert (view["task_identifier"], view["queue_name"], view["key"]) == ("a", "q", "k")
    assert job.job_queue_id == stored["job_queue_id"] is not None
    assert job.payload == {"n": [1, None, "ü \\u0000"]}
    assert (job.run_at, job.max_attempts, job.priority, job.key) == (LATER, 3, -7, "k")
    assert stored["run_at"] == LATER
    assert job.flags == {"x": True, "y": True}


@pytest.mark.parametrize("payload", [[], [1, "x"], "text", 0, False, 1.5, {}, {"a": {"b": [None]}}])
async def test_any_json_is_a_payload(sessions: Sessions, repo: JobRepository, payload: Any) -> None:
    job = await add(sessions, repo, payload)
    assert job.payload == payload
    assert type(job.payload) is type(payload)


async def test_a_declared_task(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    async with sessions.begin() as session:
        job = await repo.add_job(session, send_email, Email(to="a@example.com"), job_key="k")
        await repo.add_job(session, nightly)
        with pytest.raises(InvalidPayloadError, match="to: "):
            await repo.add_job(session, send_email, Email.model_construct())
        with pytest.raises(InvalidPayloadError, match="takes none"):
            await repo.add_job(session, nightly, {"n": 1})  # type: ignore[misc] # that is the point
    assert job.payload == {"to": "a@example.com"}
    rows = await look.rows("select task_identifier from {s}.jobs order by id")
    assert [row["task_identifier"] for row in rows] == ["send_email", "nightly"]


@pytest.mark.parametrize("mode", [None, JobKeyMode.REPLACE])
async def test_replace(sessions: Sessions, repo: JobRepository, look: Look, mode: JobKeyMode | None) -> None:
    old = await add(sessions, repo, {"n": 1}, job_key="k", run_at=LATER, queue_name="q")
    new = await add(sessions, repo, {"n": 2}, job_key="k", job_key_mode=mode, priority=3)
    assert (new.id, new.revision, new.payload, new.priority, new.job_queue_id) == (old.id, 1, {"n": 2}, 3, None)
    assert new.run_at < LATER
    assert len(await look.jobs()) == 1


async def test_preserve_run_at(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    await add(sessions, repo, job_key="k", run_at=LATER)
    kept = await add(sessions, repo, job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)
    assert (kept.run_at, kept.revision) == (LATER, 1)
    await look.execute("update {s}._private_jobs set attempts = 1")
    assert (await add(sessions, repo, job_key="k", job_key_mode=JobKeyMode.PRESERVE_RUN_AT)).run_at < LATER


async def test_unsafe_dedupe(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    old = await add(sessions, repo, {"n": 1}, job_key="k")
    await look.lock(old.id)
    same = await add(sessions, repo, {"n": 2}, job_key="k", job_key_mode=JobKeyMode.UNSAFE_DEDUPE, priority=3)
    assert (same.id, same.revision, same.payload, same.priority) == (old.id, 1, {"n": 1}, 0)
    assert (same.locked_by, same.attempts) == ("pool-1", 1)


async def test_a_running_job_keeps_running_without_its_key(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    running = await add(sessions, repo, job_key="k")
    await look.lock(running.id)
    new = await add(sessions, repo, job_key="k")
    assert (new.key, new.locked_by, new.revision) == ("k", None, 0)
    assert new.id != running.id
    old = (await look.jobs())[running.id]
    assert (old["key"], old["attempts"], old["locked_by"]) == (None, 25, "pool-1")


async def test_array_payloads_gather_under_a_key(sessions: Sessions, repo: JobRepository) -> None:
    await add(sessions, repo, [{"n": 1}], job_key="k")
    assert (await add(sessions, repo, [{"n": 2}, {"n": 3}], job_key="k")).payload == [{"n": 1}, {"n": 2}, {"n": 3}]
