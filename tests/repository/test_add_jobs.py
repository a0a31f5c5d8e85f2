"""add_jobs: any number of jobs in one round trip, returned in the order of their specs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    InvalidPayloadError,
    JobRepository,
    JobRow,
    JobSpec,
    TaskRegistry,
    async_sessionmaker,
)
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
LATER = datetime(2100, 1, 1, tzinfo=UTC)

tasks = TaskRegistry()


@tasks.task("typed")
async def typed(payload: list[int]) -> None:
    """Nothing to do: only added here."""


def spec(payload: Any = None, **options: Any) -> JobSpec:
    return JobSpec(task_identifier="a", payload=payload, **options)


async def add(sessions: Sessions, repo: JobRepository, *specs: JobSpec, **options: Any) -> list[JobRow]:
    async with sessions.begin() as session:
        rows: list[JobRow] = await repo.add_jobs(session, specs, **options)
        return rows


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """Gather the statements that the engine sends during the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        sent.append(sql)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [0, 1, 2, 1000])
async def test_one_round_trip(engine: AsyncEngine, sessions: Sessions, repo: JobRepository, number: int) -> None:
    with statements(engine) as sent:
        jobs = await add(sessions, repo, *(spec(n) for n in range(number)))
    assert len(sent) == min(number, 1), "none where there is nothing to add"
    assert [job.payload for job in jobs] == list(range(number))
    assert sorted(job.id for job in jobs) == [job.id for job in jobs]


async def test_fifty_thousand_jobs(engine: AsyncEngine, sessions: Sessions, repo: JobRepository, look: Look) -> None:
    async with sessions.begin() as session:
        with statements(engine) as sent:
            jobs = await repo.add_jobs(session, (spec({"n": n}) for n in range(50_000)))
    assert len(sent) == 1
    assert [job.payload["n"] for job in jobs] == list(range(50_000))
    assert await look.value("select count(*) from {s}._private_jobs") == 50_000


async def test_every_field(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    text = "ü \\u0000 \\ \" ' % :x $1 \U0001f600"
    full = JobSpec(
        task_identifier=text,
        payload={text: [text, None, 1.5]},
        queue_name=text,
        run_at=LATER,
        max_attempts=3,
        job_key=text,
        priority=-7,
        flags=[text, "x"],
    )
    [job, plain] = await add(sessions, repo, full, spec())
    view = (await look.rows("select * from {s}.jobs order by id"))[0 if job.id < plain.id else 1]
    assert (view["task_identifier"], view["queue_name"]) == (text, text)
    assert job.payload == {text: [text, None, 1.5]}
    assert (job.run_at, job.max_attempts, job.key, job.priority) == (LATER, 3, text, -7)
    assert job.flags == {text: True, "x": True}
    assert (plain.payload, plain.priority, plain.max_attempts, plain.flags) == ({}, 0, 25, None)


async def test_specs_of_a_declared_task(sessions: Sessions, repo: JobRepository) -> None:
    [job] = await add(sessions, repo, typed.spec([1, 2], queue_name="q"))
    assert job.payload == [1, 2]
    with pytest.raises(InvalidPayloadError):
        typed.spec(["x"])  # type: ignore[list-item] # that is the point


async def test_order_with_and_without_keys(sessions: Sessions, repo: JobRepository) -> None:
    """The function inserts jobs without a key first, then by key: the caller sees nothing of that."""
    keys = ["z", None, "a", None, "m", None]
    jobs = await add(sessions, repo, *(spec(n, job_key=key) for n, key in enumerate(keys)))
    assert [job.key for job in jobs] == keys
    assert [job.payload for job in jobs] == list(range(6))


async def test_keys_replace(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    waiting, running = await add(sessions, repo, spec(1, job_key="w", run_at=LATER), spec(2, job_key="r"))
    await look.lock(running.id)
    new, again, other = await add(
        sessions, repo, spec(3, job_key="r"), spec(4, job_key="w"), spec(5), job_key_preserve_run_at=True
    )
    assert (again.id, again.revision, again.payload, again.run_at) == (waiting.id, 1, 4, LATER)
    assert (new.revision, new.payload, new.locked_by) == (0, 3, None)
    assert len({waiting.id, running.id, new.id, other.id}) == 4
    [moved] = await add(sessions, repo, spec(6, job_key="w"))
    assert (moved.id, moved.run_at < LATER) == (waiting.id, True)


async def test_the_same_key_twice(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    async with sessions.begin() as session:
        with pytest.raises(InvalidJobError, match=r"'k' is in specs\[0\] and specs\[2\]") as raised:
            await repo.add_jobs(session, [spec(job_key="k"), spec(job_key="l"), spec(job_key="k")])
        assert raised.value.argument == "job_key"
    assert await look.jobs() == {}


@pytest.mark.parametrize("payload", [object(), float("nan"), "a\0b", "\ud800"])
async def test_a_payload_that_cannot_be_stored(
    sessions: Sessions, repo: JobRepository, look: Look, payload: Any
) -> None:
    async with sessions.begin() as session:
        with pytest.raises(InvalidPayloadError, match=r"specs\[1\]"):
            await repo.add_jobs(session, [spec(), spec(payload), spec()])
    assert await look.jobs() == {}


async def test_what_is_not_a_spec(sessions: Sessions, repo: JobRepository) -> None:
    async with sessions.begin() as session:
        with pytest.raises(InvalidJobError, match=r"specs\[1\] is a dict, not a JobSpec"):
            await repo.add_jobs(session, [spec(), {"task_identifier": "a"}])  # type: ignore[list-item] # the point
