"""Every check of the database is met earlier, by an error that names the argument."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    InvalidJobError,
    JobRepository,
    JobSpec,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.types import DEFAULT_SCHEMA
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

CHECKED: list[tuple[str, str, Any]] = [
    ("23514", "task_identifier", "x" * 129),
    ("23502", "task_identifier", None),
    ("23514", "queue_name", "x" * 129),
    ("23514", "job_key", ""),
    ("23514", "job_key", "x" * 513),
    ("23514", "max_attempts", 0),
    ("23514", "max_attempts", -1),
    ("22003", "max_attempts", 2**15),
    ("22003", "priority", 2**15),
    ("22003", "priority", -(2**15) - 1),
    ("22021", "task_identifier", "a\0b"),
    ("22021", "queue_name", "a\0b"),
    ("22021", "job_key", "a\0b"),
    ("22021", "flags", ["a\0b"]),
    ("GWBKM", "job_key_mode", "replce"),
]
"""SQLSTATE, argument and value of each refusal of the schema."""

OURS: list[tuple[str, Any]] = [
    ("task_identifier", ""),
    ("task_identifier", 5),
    ("task_identifier", "\ud800"),
    ("queue_name", ""),
    ("queue_name", 5),
    ("queue_name", "\udfff"),
    ("job_key", 5),
    ("job_key", "\ud800"),
    ("run_at", datetime(2030, 1, 1)),
    ("run_at", "2030-01-01T00:00:00Z"),
    ("run_at", datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1)))),
    ("run_at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ("priority", "1"),
    ("priority", 1.0),
    ("priority", True),
    ("max_attempts", "1"),
    ("max_attempts", True),
    ("flags", "x"),
    ("flags", {"x": True}),
    ("flags", [5]),
    ("flags", [None]),
    ("flags", ["\ud800"]),
    ("payload", float("nan")),
    ("payload", {"n": float("-inf")}),
    ("payload", "a\0b"),
    ("payload", {"a\0b": 1}),
    ("payload", ["\ud800"]),
    ("payload", object()),
]
"""What the database or the driver would refuse without a name, or take although nobody can mean it."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def schema() -> str:
    """One is enough: nothing here depends on its name."""
    return DEFAULT_SCHEMA


def arguments(argument: str, value: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"task_identifier": "a", argument: value}
    if argument == "job_key_mode":
        given["job_key"] = "k"
    return given


@pytest.mark.parametrize(("sqlstate", "argument", "value"), CHECKED)
async def test_the_database_would_refuse(look: Look, sqlstate: str, argument: str, value: Any) -> None:
    """Shows that the checks below are those of the schema, no more and no other."""
    given = arguments(argument, value)
    given["identifier"] = given.pop("task_identifier")
    named = ", ".join(f"{name} := ${number}" for number, name in enumerate(given, 1))
    with pytest.raises(Exception, match=r".") as raised:
        await look.value(f"select id from {{s}}.add_job({named})", *given.values())
    assert getattr(raised.value, "sqlstate", None) == sqlstate


@pytest.mark.parametrize(("argument", "value"), [(argument, value) for _, argument, value in CHECKED] + OURS)
async def test_add_job_refuses(sessions: Sessions, look: Look, repo: JobRepository, argument: str, value: Any) -> None:
    given = arguments(argument, value)
    task = given.pop("task_identifier")
    async with sessions() as session:
        with pytest.raises(InvalidJobError) as raised:
            await repo.add_job(session, task, **given)
        assert not session.in_transaction(), "the database was not asked"
    assert raised.value.argument == argument
    assert str(raised.value).startswith(f"{argument}: ")


@pytest.mark.parametrize(
    ("argument", "value"),
    [(argument, value) for _, argument, value in CHECKED if argument != "job_key_mode"]
    + [(argument, value) for argument, value in OURS if argument != "payload"],
)
def test_a_spec_refuses(argument: str, value: Any) -> None:
    with pytest.raises(InvalidJobError) as raised:
        JobSpec(**arguments(argument, value))
    assert raised.value.argument == argument


async def test_a_mode_without_a_key(sessions: Sessions, repo: JobRepository) -> None:
    async with sessions.begin() as session:
        with pytest.raises(InvalidJobError, match=r"^job_key_mode: has no effect without job_key"):
            await repo.add_job(session, "a", job_key_mode="replace")  # type: ignore[call-overload] # a str


@pytest.mark.parametrize("return_rows", [True, False])
async def test_add_jobs_wants_a_bool(sessions: Sessions, repo: JobRepository, return_rows: Any) -> None:
    specs = [JobSpec(task_identifier="a")]
    preserve: Any = "yes"
    async with sessions() as session:
        with pytest.raises(InvalidJobError, match=r"^job_key_preserve_run_at: must be True or False, is 'yes'$"):
            await repo.add_jobs(session, specs, job_key_preserve_run_at=preserve, return_rows=return_rows)
        assert not session.in_transaction(), "the database was not asked"


@pytest.mark.parametrize("name", ["", "a\0b", "y" * 64, "pg_jobs", 5, None])
def test_a_schema_that_cannot_be(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^schema: "):
        JobRepository(name)


async def test_limits_fit(sessions: Sessions, repo: JobRepository, look: Look) -> None:
    for priority, attempts in ((-(2**15), 1), (2**15 - 1, 2**15 - 1)):
        async with sessions.begin() as session:
            job = await repo.add_job(
                session,
                "\U0001f600" * 128,
                queue_name="\U0001f600" * 128,
                job_key="\U0001f600" * 512,
                priority=priority,
                max_attempts=attempts,
                run_at=datetime.max.replace(tzinfo=UTC),
                flags=[],
            )
        assert (job.priority, job.max_attempts, job.flags) == (priority, attempts, None)
    async with sessions.begin() as session:
        early = await repo.add_job(session, "a", run_at=datetime.min.replace(tzinfo=UTC))
    assert early.run_at.year == 1


@pytest.mark.parametrize(
    ("sqlstate", "method", "argument", "value"),
    [
        ("22003", "reschedule_jobs", "priority", 2**15),
        ("22003", "reschedule_jobs", "attempts", 2**15),
        ("22003", "reschedule_jobs", "max_attempts", 2**15),
        ("23514", "reschedule_jobs", "max_attempts", 0),
        ("22021", "permanently_fail_jobs", "error_message", "a\0b"),
        (None, "reschedule_jobs", "attempts", -1),
        (None, "reschedule_jobs", "run_at", datetime(2030, 1, 1)),
        (None, "permanently_fail_jobs", "error_message", "\ud800"),
        (None, "permanently_fail_jobs", "error_message", 5),
    ],
)
async def test_administering_refuses(
    sessions: Sessions,
    repo: JobRepository,
    look: Look,
    sqlstate: str | None,
    method: str,
    argument: str,
    value: Any,
) -> None:
    async with sessions.begin() as session:
        job = await repo.add_job(session, "a")
        with pytest.raises(InvalidJobError) as raised:
            await getattr(repo, method)(session, [job.id], **{argument: value})
        assert raised.value.argument == argument
    if sqlstate is not None:
        with pytest.raises(Exception, match=r".") as refused:
            await look.execute(f"select {{s}}.{method}(array[{job.id}], {argument} := $1)", value)
        assert getattr(refused.value, "sqlstate", None) == sqlstate


@pytest.mark.parametrize("job_ids", [["1"], [True], [1.5], [-1], [2**63], [None], "12"])
@pytest.mark.parametrize("method", ["complete_jobs", "permanently_fail_jobs", "reschedule_jobs"])
async def test_ids_that_no_job_has(sessions: Sessions, repo: JobRepository, method: str, job_ids: Any) -> None:
    async with sessions.begin() as session:
        with pytest.raises(InvalidJobError, match=r"^job_ids: "):
            await getattr(repo, method)(session, job_ids)


@pytest.mark.parametrize(
    ("method", "argument", "value"),
    [
        ("remove_job", "job_key", "a\0b"),
        ("remove_job", "job_key", None),
        ("remove_job", "job_key", 5),
        ("force_unlock_workers", "worker_ids", ["a\0b"]),
        ("force_unlock_workers", "worker_ids", [5]),
        ("force_unlock_workers", "worker_ids", None),
        ("get_job", "job_id", "1"),
        ("list_jobs", "task", 5),
        ("list_jobs", "queue_name", 5),
        ("list_jobs", "job_key", "a\0b"),
        ("list_jobs", "state", "redy"),
        ("list_jobs", "after", "1"),
        ("list_jobs", "limit", 0),
        ("list_jobs", "limit", 1001),
        ("list_jobs", "limit", "5"),
        ("list_jobs", "limit", 5.5),
    ],
)
async def test_what_no_job_can_have(
    sessions: Sessions, repo: JobRepository, method: str, argument: str, value: Any
) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidJobError) as raised:
            await getattr(repo, method)(session, **{argument: value})
        assert not session.in_transaction(), "the database was not asked"
    assert raised.value.argument == argument


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("queue", "queue: is no option of a job; did you mean queue_name?"),
        ("attempts", "attempts: is no option of a job; did you mean max_attempts?"),
        ("xyz", "xyz: is no option of a job"),
    ],
)
@pytest.mark.parametrize("declared", [False, True])
async def test_options_that_no_job_has(
    sessions: Sessions, repo: JobRepository, name: str, says: str, declared: bool
) -> None:
    @TaskRegistry().task("a")
    async def task() -> None: ...

    adding: list[Any] = [repo.add_job, sync_add(repo)]
    async with sessions() as session:
        for add in adding:
            with pytest.raises(InvalidJobError, match=f"^{re.escape(says)}$") as caught:
                await add(session, task if declared else "a", **{name: 1})
            assert caught.value.argument == name


def sync_add(repo: JobRepository) -> Any:
    """Return ``add_job_on_commit`` in the shape of ``add_job``."""

    async def add(*arguments: Any, **options: Any) -> None:
        repo.add_job_on_commit(*arguments, **options)

    return add
