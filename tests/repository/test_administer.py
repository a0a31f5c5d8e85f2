"""Remove, complete, fail, reschedule and unlock: what a worker holds stays, unless it held it for 4 hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gw_sqla import AsyncSession, JobRepository, JobRow, async_sessionmaker
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
LATER = datetime(2100, 1, 1, tzinfo=UTC)
UNKNOWN = 10**12


@pytest.fixture
async def ids(sessions: Sessions, repo: JobRepository, look: Look) -> dict[str, int]:
    """A free job, one that a worker holds and one whose lock is stale, each under its key."""
    found = {}
    async with sessions.begin() as session:
        for state in ("free", "held", "stale"):
            job = await repo.add_job(session, "a", job_key=state, max_attempts=5, queue_name="q")
            found[state] = job.id
    await look.lock(found["held"], since="now() - interval '239 minutes'")
    await look.lock(found["stale"], since="now() - interval '241 minutes'")
    return found


async def do(sessions: Sessions, repo: JobRepository, method: str, *arguments: Any, **options: Any) -> Any:
    async with sessions.begin() as session:
        return await getattr(repo, method)(session, *arguments, **options)


def touched(jobs: Sequence[JobRow], ids: dict[str, int]) -> set[str]:
    names = {job_id: name for name, job_id in ids.items()}
    return {names[job.id] for job in jobs}


@pytest.mark.parametrize("state", ["free", "stale"])
async def test_remove(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], state: str) -> None:
    async with look.notifications() as heard:
        job = await do(sessions, repo, "remove_job", state)
    assert (job.id, job.key) == (ids[state], state)
    assert set(await look.jobs()) == set(ids.values()) - {job.id}
    assert [notice["count"] for notice in heard] == [-1]


async def test_remove_what_runs(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int]) -> None:
    job = await do(sessions, repo, "remove_job", "held")
    assert (job.id, job.key, job.attempts, job.locked_by) == (ids["held"], None, 5, "pool-1")
    assert len(await look.jobs()) == 3


async def test_remove_nothing(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int]) -> None:
    assert await do(sessions, repo, "remove_job", "unknown") is None
    assert len(await look.jobs()) == 3


async def test_complete(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int]) -> None:
    jobs = await do(sessions, repo, "complete_jobs", [*ids.values(), UNKNOWN])
    assert touched(jobs, ids) == {"free", "stale"}
    assert set(await look.jobs()) == {ids["held"]}


@pytest.mark.parametrize(("message", "stored"), [(None, "Manually marked as failed"), ("because", "because")])
async def test_permanently_fail(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], message: str | None, stored: str
) -> None:
    jobs = await do(sessions, repo, "permanently_fail_jobs", iter([*ids.values(), UNKNOWN]), message)
    assert touched(jobs, ids) == {"free", "stale"}
    assert {(job.last_error, job.attempts) for job in jobs} == {(stored, 5)}
    held = (await look.jobs())[ids["held"]]
    assert (held["last_error"], held["attempts"]) == (None, 1)


@pytest.mark.parametrize("options", [{}, {"run_at": LATER}, {"priority": -5}, {"attempts": 4}, {"max_attempts": 9}])
async def test_reschedule(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], options: dict[str, Any]
) -> None:
    before = await look.jobs()
    async with look.notifications() as heard:
        jobs = await do(sessions, repo, "reschedule_jobs", [*ids.values(), UNKNOWN], **options)
    assert heard == [], "workers see it at their next poll"
    assert touched(jobs, ids) == {"free", "stale"}
    after = await look.jobs()
    assert after[ids["held"]] == before[ids["held"]]
    for job in jobs:
        for name in ("run_at", "priority", "attempts", "max_attempts"):
            assert getattr(job, name) == after[job.id][name] == options.get(name, before[job.id][name])


async def test_a_failed_job_is_revived(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int]
) -> None:
    await do(sessions, repo, "permanently_fail_jobs", [ids["free"]])
    [job] = await do(sessions, repo, "reschedule_jobs", [ids["free"]], attempts=0)
    assert (job.attempts, job.last_error) == (0, "Manually marked as failed")
    assert (await look.jobs())[job.id]["is_available"] is True


@pytest.mark.parametrize(
    ("options", "soon"),
    [
        ({"attempts": 0}, True),
        ({"max_attempts": 30}, True),
        ({"attempts": 0, "run_at": LATER}, False),
        ({"priority": 3}, False),
    ],
)
async def test_a_revived_job_runs_now(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], options: dict[str, Any], soon: bool
) -> None:
    """Its last backoff may have been hours long. One that only waits for its time goes on waiting."""
    waiting = ids["stale"]
    await do(sessions, repo, "reschedule_jobs", [*ids.values()], run_at=LATER)
    await do(sessions, repo, "permanently_fail_jobs", [ids["free"]])
    jobs = await do(sessions, repo, "reschedule_jobs", [ids["free"], waiting], **options)
    now = await look.value("select now()")
    assert {job.id: job.run_at <= now for job in jobs} == {ids["free"]: soon, waiting: False}


@pytest.mark.parametrize("run_at", [None, LATER])
async def test_retry(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], run_at: datetime | None
) -> None:
    await do(sessions, repo, "reschedule_jobs", [*ids.values()], run_at=LATER, attempts=3)
    await do(sessions, repo, "permanently_fail_jobs", [ids["free"]])
    before = await look.jobs()
    jobs = await do(sessions, repo, "retry_jobs", [*ids.values(), UNKNOWN], run_at=run_at)
    assert touched(jobs, ids) == {"free", "stale"}
    now = await look.value("select now()")
    assert {(job.attempts, job.run_at <= now) for job in jobs} == {(0, run_at is None)}
    assert all(job.task_identifier == "a" for job in jobs)
    assert (await look.jobs())[ids["held"]] == before[ids["held"]]


@pytest.mark.parametrize("method", ["complete_jobs", "permanently_fail_jobs", "reschedule_jobs"])
async def test_no_ids(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], method: str) -> None:
    before = await look.jobs()
    assert await do(sessions, repo, method, []) == []
    assert await look.jobs() == before


@pytest.mark.parametrize("pools", [["pool-1"], "pool-1", ("pool-0", "pool-1")])
async def test_force_unlock(
    sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int], pools: Any
) -> None:
    await look.execute("update {s}._private_jobs set locked_by = 'pool-2' where key = 'stale'")
    await look.execute("update {s}._private_job_queues set locked_at = now(), locked_by = 'pool-1'")
    await do(sessions, repo, "force_unlock_workers", pools)
    after = {row["key"]: row["locked_by"] for row in (await look.jobs()).values()}
    assert after == {"free": None, "held": None, "stale": "pool-2"}
    assert await look.value("select is_available from {s}._private_job_queues") is True
