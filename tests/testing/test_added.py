"""What a test has added: found, refuted, and told apart from what is near."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobRepository, JobState, JobTesterError, TaskRegistry
from gw_sqla.testing import JobTester, rolled_back_session, within

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


class Charge(BaseModel):
    order_id: int
    note: str = ""


class Other(BaseModel):
    name: str


@dataclass
class Changed:
    order_id: object


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.task("charge")
    async def charge(payload: Charge) -> None: ...

    @tasks.task("mail")
    async def mail(payload: dict[str, object]) -> None: ...

    return tasks


async def test_added(session: AsyncSession, jobs: JobTester, repo: JobRepository, tasks: TaskRegistry) -> None:
    assert await jobs.added() == []
    charge = tasks["charge"]
    row = await repo.add_job(session, charge, Charge(order_id=1))
    later = await repo.add_job(session, "mail", {}, run_at=datetime.now(UTC) + HOUR)
    repo.add_job_on_commit(session, charge, Charge(order_id=2))
    assert [job.id for job in await jobs.added()] == [row.id, later.id]
    await session.commit()
    added = await jobs.added(charge)
    assert [(job.payload["order_id"], job.state) for job in added] == [(1, JobState.READY), (2, JobState.READY)]
    assert [job.state for job in await jobs.added("mail")] == [JobState.SCHEDULED]
    await jobs.travel(hours=2)
    assert [job.state for job in await jobs.added("mail")] == [JobState.READY]


async def test_assert_added(session: AsyncSession, jobs: JobTester, repo: JobRepository, tasks: TaskRegistry) -> None:
    charge = tasks["charge"]
    at = datetime.now(UTC) + HOUR
    row = await repo.add_job(
        session, charge, Charge(order_id=1), run_at=at, queue_name="q", job_key="k", priority=3, flags=["b", "a"]
    )
    [job] = await jobs.assert_added(
        charge,
        {"order_id": 1},
        count=1,
        run_at=within("61m"),
        queue_name="q",
        job_key="k",
        priority=3,
        flags=["a", "b"],
        max_attempts=25,
    )
    assert job.id == row.id
    await jobs.assert_added("charge", Charge(order_id=1), run_at=at)
    await jobs.assert_added(charge, {"order_id": ANY}, run_at=within(timedelta(0), of=at))
    await jobs.assert_added(charge, {"order_id": 2}, count=0)
    await jobs.refute_added(charge, {"order_id": 2})
    await jobs.refute_added(charge, run_at=within("1m"))
    await jobs.refute_added("mail")
    await jobs.refute_added("a_task_of_node")


async def test_the_message_has_the_near_misses(
    session: AsyncSession, jobs: JobTester, repo: JobRepository, tasks: TaskRegistry
) -> None:
    charge = tasks["charge"]
    far = await repo.add_job(session, charge, Charge(order_id=7, note="x"), priority=1)
    near = await repo.add_job(session, charge, Charge(order_id=2))
    await repo.add_job(session, "mail", {})
    with pytest.raises(AssertionError) as failure:
        await jobs.assert_added(charge, {"order_id": 1, "note": ""}, queue_name=None, priority=0)
    assert str(failure.value).splitlines() == [
        "no job like this was added:",
        "    task: 'charge'",
        "    payload: {'order_id': 1, 'note': ''}",
        "    queue_name: None",
        "    priority: 0",
        "other jobs of 'charge' (2), the nearest first:",
        f"  job {near.id}:",
        "    payload.order_id: expected 1, is 2",
        f"  job {far.id}:",
        "    payload.order_id: expected 1, is 7",
        "    payload.note: expected '', is 'x'",
        "    priority: expected 0, is 1",
        "jobs of other tasks: 'mail' (1)",
    ]
    assert Path(str(failure.traceback.filter(failure)[-1].path)) == Path(__file__)  # not where it came from
    with pytest.raises(AssertionError, match="expected 3 of these jobs, 2 were added"):
        await jobs.assert_added(charge, count=3)
    with pytest.raises(AssertionError, match=f"(?s)no job like this was expected.*1 were added.*job {near.id}"):
        await jobs.refute_added(charge, {"order_id": 2})


@pytest.mark.parametrize(
    ("expected", "differs"),
    [
        ({"a": {"b": 1}}, None),
        ({"a": {"b": 2}}, "payload.a.b: expected 2, is 1"),
        ({"a": {"x": 2}}, "payload.a.x: expected 2, is missing"),
        ({"list": [{"n": 1}, {"n": 2}]}, None),
        ({"list": [{"n": 1}, {"n": 3}]}, r"payload.list\[1\].n: expected 3, is 2"),
        ({"list": [{"n": 1}]}, "payload.list: expected"),
        ({"true": 1}, "payload.true: expected 1, is True"),
        ({"none": None}, None),
        ({"time": datetime(2030, 1, 1, tzinfo=UTC)}, None),
        ({"time": datetime(2030, 1, 1, 1, tzinfo=timezone(HOUR))}, None),
        ({"time": datetime(2030, 1, 1, tzinfo=timezone(HOUR))}, "payload.time: expected"),
        ({"none": datetime(2030, 1, 1, tzinfo=UTC)}, "payload.none: expected"),
        ({"number": pytest.approx(0.3)}, None),
    ],
)
async def test_containment(
    session: AsyncSession, jobs: JobTester, repo: JobRepository, expected: object, differs: str | None
) -> None:
    payload = {
        "a": {"b": 1, "c": 2},
        "list": [{"n": 1, "m": 0}, {"n": 2}],
        "true": True,
        "none": None,
        "time": "2030-01-01T00:00:00Z",
        "number": 0.1 + 0.2,
    }
    await repo.add_job(session, "mail", payload)
    if differs is None:
        await jobs.assert_added("mail", expected)
    else:
        with pytest.raises(AssertionError, match=differs):
            await jobs.assert_added("mail", expected)


async def test_only_jobs_of_this_test(kit_engine: AsyncEngine, repo: JobRepository, tasks: TaskRegistry) -> None:
    """Neither what is committed, nor what another test does meanwhile; a job of before that this test replaces is."""
    async with AsyncSession(kit_engine) as committing:
        await repo.add_job(committing, "mail", {"n": 0}, job_key="k")
        await repo.add_job(committing, "mail", {"n": 1})
        await repo.add_job(committing, "charge", {"order_id": 0})
        await committing.commit()
    async with rolled_back_session(kit_engine) as one, rolled_back_session(kit_engine) as other:
        await repo.add_job(one, "mail", {"n": 2})
        await repo.add_job(other, "mail", {"n": 3}, job_key="k")
        assert [job.payload for job in await JobTester(one, tasks).added()] == [{"n": 2}]
        assert [job.payload for job in await JobTester(other, tasks).added()] == [{"n": 3}]


@pytest.mark.parametrize(
    ("payload", "options", "message"),
    [
        ({"order_id": float("nan")}, {}, r"payload.order_id: is nan, which JSON has not"),
        ({"a": [{1: 2}]}, {}, r"payload.a\[0\]: has the key 1: in JSON keys are strings"),
        (Other(name="x"), {}, "payload: does not fit its task"),
        (Changed(order_id="x"), {}, "payload: does not fit its task"),
        (None, {"run_at": datetime(2030, 1, 1)}, "run_at: must be a datetime with a time zone"),
        (None, {"run_at": date(2030, 1, 1)}, "run_at: must be a datetime with a time zone"),
        (None, {"queue_name": within("1h")}, "queue_name: must be a string"),
        (None, {"job_key": 5}, "job_key: must be a string"),
        (None, {"flags": "slow"}, "flags: must be a list"),
        (None, {"priority": "1"}, "priority: must be a number"),
        (None, {"max_attempts": True}, "max_attempts: must be a number"),
    ],
)
async def test_what_no_job_can_be(
    jobs: JobTester, tasks: TaskRegistry, payload: object, options: dict[str, Any], message: str
) -> None:
    """That no such job was added would be true of any."""
    with pytest.raises(JobTesterError, match=message):
        await jobs.refute_added(tasks["charge"], payload, **options)


async def test_what_compares_itself_may_stand_anywhere(
    session: AsyncSession, jobs: JobTester, repo: JobRepository, tasks: TaskRegistry
) -> None:
    await repo.add_job(session, tasks["charge"], Charge(order_id=1), priority=3)
    await jobs.assert_added("charge", ANY, priority=pytest.approx(3), queue_name=ANY, flags=ANY, run_at=ANY)


async def test_a_long_payload_is_not_shown_whole(session: AsyncSession, jobs: JobTester, repo: JobRepository) -> None:
    await repo.add_job(session, "mail", {"text": "x" * 100_000})
    for check, expected in ((jobs.assert_added, "y"), (jobs.refute_added, ANY)):
        with pytest.raises(AssertionError, match=r"xxx\.\.\. \(1000\d\d characters\)") as error:
            await check("mail", {"text": expected})
        assert len(str(error.value)) < 2000


@pytest.mark.parametrize("duration", ["1 hour", "", timedelta(-1), 5])
def test_within_refuses(duration: str) -> None:
    with pytest.raises(JobTesterError, match="within"):
        within(duration)


async def test_refusals(jobs: JobTester) -> None:
    with pytest.raises(JobTesterError, match=r"queue: .*did you mean queue_name\?"):
        await jobs.assert_added("mail", queue="q")  # type: ignore[call-arg]
    with pytest.raises(JobTesterError, match="no task 'chrage': did you mean 'charge'"):
        await jobs.refute_added("chrage")
    with pytest.raises(JobTesterError, match="count: must be"):
        await jobs.assert_added("mail", count=-1)
    other = TaskRegistry()

    @other.task("mail")
    async def mail() -> None: ...

    with pytest.raises(JobTesterError, match="another registry's"):
        await jobs.refute_added(mail)
