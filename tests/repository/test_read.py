"""Reading jobs: one, filtered pages, counts by state."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    JobDetails,
    JobRepository,
    JobSpec,
    JobState,
    TaskRegistry,
    async_sessionmaker,
)
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
LATER = datetime(2100, 1, 1, tzinfo=UTC)

tasks = TaskRegistry()


@tasks.task("b")
def declared() -> None:
    """Only its identifier is used."""


SPECS = {
    "ready": JobSpec(task_identifier="a", job_key="ready", payload={"n": 1}, queue_name="q", flags=["x"]),
    "scheduled": JobSpec(task_identifier="a", job_key="scheduled", run_at=LATER),
    "failed": JobSpec(task_identifier="b", job_key="failed", queue_name="q", run_at=LATER),
    "locked": JobSpec(task_identifier="b", job_key="locked", queue_name="r", max_attempts=1),
    "plain": JobSpec(task_identifier="b"),
    "retrying": JobSpec(task_identifier="b", job_key="retrying", run_at=LATER),
}


@pytest.fixture
async def ids(sessions: Sessions, repo: JobRepository, look: Look) -> dict[str, int]:
    """Jobs in every state, by their names."""
    async with sessions.begin() as session:
        found = {name: (await repo.add_jobs(session, [spec]))[0].id for name, spec in SPECS.items()}
    await look.execute("update {s}._private_jobs set attempts = 25, last_error = 'e' where key = 'failed'")
    await look.execute("update {s}._private_jobs set attempts = 2 where key = 'retrying'")
    await look.lock(found["locked"])
    return found


async def listed(sessions: Sessions, repo: JobRepository, **filters: Any) -> list[JobDetails]:
    async with sessions() as session:
        return await repo.list_jobs(session, **filters)


async def test_get(sessions: Sessions, repo: JobRepository, look: Look, ids: dict[str, int]) -> None:
    stored = await look.jobs()
    async with sessions() as session:
        ready = await repo.get_job(session, ids["ready"])
        plain = await repo.get_job(session, ids["plain"])
        assert await repo.get_job(session, 10**12) is None
    assert ready is not None
    assert plain is not None
    assert (ready.task_identifier, ready.queue_name, ready.state) == ("a", "q", JobState.READY)
    assert (ready.payload, ready.flags, ready.key) == ({"n": 1}, {"x": True}, "ready")
    assert (plain.task_identifier, plain.queue_name, plain.flags) == ("b", None, None)
    columns = {field.name for field in dataclasses.fields(JobDetails)} - {"task_identifier", "queue_name", "state"}
    for name in columns - {"payload_text", "flags"}:
        assert getattr(ready, name) == stored[ready.id][name], name
    assert columns - {"payload_text"} | {"payload"} == stored[ready.id].keys() - {"is_available"}


async def test_payload_that_cannot_be_parsed(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    """A payload of a peer's may hold a number longer than Python reads; its job is seen and removed all the same."""
    number = "1" * (sys.get_int_max_str_digits() + 1)
    async with sessions.begin() as session:
        job = await repo.add_job(session, "a", job_key="long")
    await look.execute("update {s}._private_jobs set payload = cast($1::text as json)", number)
    async with sessions.begin() as session:
        [found] = await repo.list_jobs(session)
        assert (found.id, found.payload_text) == (job.id, number)
        with pytest.raises(ValueError, match="integer string conversion"):
            assert found.payload
        removed = await repo.remove_job(session, "long")
    assert removed is not None
    assert removed.payload_text == number


async def test_job_whose_task_is_gone(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    """A clean-up of a peer's can remove a task's row while a job for it is being added."""
    async with sessions.begin() as session:
        job = await repo.add_job(session, "a")
    await look.execute("delete from {s}._private_tasks")
    async with sessions() as session:
        found = await repo.get_job(session, job.id)
        assert found is not None
        assert found.task_identifier is None
        assert [seen.id for seen in await repo.list_jobs(session)] == [job.id]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["ready", "scheduled", "failed", "locked", "plain", "retrying"]),
        ({"task": "a"}, ["ready", "scheduled"]),
        ({"task": declared}, ["failed", "locked", "plain", "retrying"]),
        ({"task": "unknown"}, []),
        ({"queue_name": "q"}, ["ready", "failed"]),
        ({"queue_name": "unknown"}, []),
        ({"job_key": "locked"}, ["locked"]),
        ({"state": JobState.READY}, ["ready", "plain"]),
        ({"state": JobState.SCHEDULED}, ["scheduled"]),
        ({"state": JobState.RETRYING}, ["retrying"]),
        ({"state": JobState.FAILED}, ["failed"]),
        ({"state": JobState.LOCKED}, ["locked"]),
        ({"state": "locked"}, ["locked"]),
        ({"task": "b", "queue_name": "q", "state": JobState.FAILED}, ["failed"]),
        ({"task": "a", "queue_name": "r"}, []),
        ({"limit": 2}, ["ready", "scheduled"]),
    ],
)
async def test_filters(
    sessions: Sessions, repo: JobRepository, ids: dict[str, int], filters: dict[str, Any], names: list[str]
) -> None:
    jobs = await listed(sessions, repo, **filters)
    assert [job.id for job in jobs] == [ids[name] for name in names]


async def test_pages(sessions: Sessions, repo: JobRepository, ids: dict[str, int], look: Look) -> None:
    """Keyset pagination: what was deleted in between does not shift the pages."""
    first = await listed(sessions, repo, limit=2)
    await look.execute("delete from {s}._private_jobs where id = $1", first[0].id)
    second = await listed(sessions, repo, limit=2, after=first[-1].id)
    third = await listed(sessions, repo, limit=2, after=second[-1].id)
    assert [job.id for job in first + second + third] == sorted(ids.values())
    assert await listed(sessions, repo, limit=2, after=third[-1].id) == []


async def test_count(sessions: Sessions, repo: JobRepository, ids: dict[str, int]) -> None:
    async with sessions() as session:
        counts = await repo.count_jobs_by_state(session)
    ones = dict.fromkeys((JobState.SCHEDULED, JobState.RETRYING, JobState.FAILED, JobState.LOCKED), 1)
    assert counts == {JobState.READY: 2, **ones}


async def test_count_of_nothing(sessions: Sessions, repo: JobRepository) -> None:
    async with sessions() as session:
        assert await repo.count_jobs_by_state(session) == dict.fromkeys(JobState, 0)


@pytest.mark.parametrize("run_at", ["infinity", "-infinity", "0044-03-15 BC", "294276-01-01"])
async def test_times_that_python_cannot_hold(sessions: Sessions, repo: JobRepository, look: Look, run_at: str) -> None:
    """SQL can add them; one must not keep the others from being read."""
    await look.execute(f"select {{s}}.add_job('a', job_key := 'k', run_at := '{run_at}')")
    a_day = timedelta(days=1)  # kept clear, for drivers that give times in other zones
    end = datetime.min + a_day if run_at.startswith("-") or run_at.endswith("BC") else datetime.max - a_day
    [job] = await listed(sessions, repo)
    assert job.run_at == end.replace(tzinfo=UTC)
    async with sessions.begin() as session:
        [same] = await repo.reschedule_jobs(session, [job.id])
    assert same.run_at == end.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("limit", 0), ("limit", 1001), ("after", -1), ("after", "1"), ("state", "lost")]
    + [(name, value) for name in ("task", "queue_name", "job_key") for value in ("a\0b", "\ud800")],
)
async def test_filters_that_no_job_can_fit(sessions: Sessions, repo: JobRepository, argument: str, value: Any) -> None:
    with pytest.raises(InvalidJobError) as raised:
        await listed(sessions, repo, **{argument: value})
    assert raised.value.argument == argument


@pytest.mark.parametrize("job_id", [-1, "1", 2**63, True])
async def test_ids_that_no_job_has(sessions: Sessions, repo: JobRepository, job_id: Any) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match=r"^job_id: "):
            await repo.get_job(session, job_id)
