"""Both repositories on every driver: the same calls, the same answers, in both schemas."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from gw_sqla import (
    AsyncSession,
    JobDetails,
    JobKeyMode,
    JobRepository,
    JobRow,
    JobSpec,
    JobState,
    SyncJobRepository,
    call_asyncio,
    database_loop,
)
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

LATER = datetime(2100, 1, 1, tzinfo=UTC)
TEXT = "ü \\ \" ' % %s %(x)s :x $1 \U0001f600"
KINDS = ["asyncio+asyncpg", "asyncio+psycopg", "trio+asyncpg", "trio+psycopg", "sync+psycopg", "sync+psycopg2"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The event loop, or none, and the driver."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> str:
    return "trio" if kind.startswith("trio") else "asyncio"


class Caller:
    """Calls the repository of its session's kind, which it awaits where it must."""

    def __init__(self, session: Any, schema: str) -> None:
        self.session = session
        self.repo: Any = SyncJobRepository(schema) if isinstance(session, Session) else JobRepository(schema)

    async def __call__(self, method: str, *arguments: Any, **options: Any) -> Any:
        result = getattr(self.repo, method)(self.session, *arguments, **options)
        return await result if inspect.isawaitable(result) else result


@pytest.fixture
async def call(clean_database: str, kind: str, anyio_backend: str, schema: str) -> AsyncIterator[Caller]:
    """A caller whose connection has a time zone of its own, as servers outside of UTC have."""
    loop, driver = kind.split("+")
    url = make_url(clean_database).set(drivername=f"postgresql+{driver}")
    zone = {"server_settings": {"TimeZone": "Pacific/Kiritimati"}} if driver == "asyncpg" else None
    options: Any = {"connect_args": zone or {"options": "-c TimeZone=Pacific/Kiritimati"}}
    async with database_loop():
        if loop == "sync":
            engine: Any = create_engine(url, **options)
            with Session(engine) as session:
                yield Caller(session, schema)
            engine.dispose()
        else:
            engine = create_async_engine(url, **options)
            async with AsyncSession(engine) as asynchronous:
                yield Caller(asynchronous, schema)
            await call_asyncio(engine.dispose)


async def commit(call: Caller) -> None:
    done = call.session.commit()
    if inspect.isawaitable(done):
        await done


async def test_add_job(call: Caller) -> None:
    plain = await call("add_job", "a")
    full = await call(
        "add_job",
        TEXT,
        {TEXT: [TEXT, None, 1.5]},
        queue_name=TEXT,
        run_at=LATER,
        max_attempts=3,
        job_key=TEXT,
        priority=-7,
        flags=[TEXT, "x"],
        job_key_mode=JobKeyMode.PRESERVE_RUN_AT,
    )
    assert type(plain) is type(full) is JobRow
    assert (plain.payload, plain.priority, plain.max_attempts, plain.flags) == ({}, 0, 25, None)
    assert full.payload == {TEXT: [TEXT, None, 1.5]}
    assert (full.run_at, full.max_attempts, full.key, full.priority) == (LATER, 3, TEXT, -7)
    assert full.flags == {TEXT: True, "x": True}
    assert (await call("add_job", "a", flags=[])).flags is None
    same = await call("add_job", "a", job_key=TEXT, job_key_mode=JobKeyMode.UNSAFE_DEDUPE)
    assert (same.id, same.payload) == (full.id, full.payload)


async def test_add_jobs(call: Caller, look: Look) -> None:
    specs = [
        JobSpec(task_identifier=TEXT, payload=n, job_key=None if n % 2 else f"{TEXT}{n}", run_at=LATER, flags=[TEXT])
        for n in range(10)
    ]
    jobs = await call("add_jobs", specs)
    assert [job.payload for job in jobs] == list(range(10))
    assert {(job.run_at, *job.flags) for job in jobs} == {(LATER, TEXT)}
    assert await call("add_jobs", specs, return_rows=False, job_key_preserve_run_at=True) == 10
    assert await call("add_jobs", []) == []
    await commit(call)
    assert len(await look.jobs()) == 15


async def test_read(call: Caller, look: Look) -> None:
    job = await call("add_job", "a", [1], queue_name="q", job_key="k", flags=["x"])
    await commit(call)
    await look.execute("select {s}.add_job('a', run_at := 'infinity')")
    await look.execute("select {s}.add_job('a', run_at := '-infinity')")
    details = await call("get_job", job.id)
    assert type(details) is JobDetails
    assert (details.task_identifier, details.queue_name, details.state) == ("a", "q", JobState.READY)
    assert (details.payload, details.flags, details.run_at) == ([1], {"x": True}, job.run_at)
    assert await call("get_job", 10**12) is None
    assert len(await call("list_jobs")) == 3
    options = {"task": "a", "queue_name": "q", "state": JobState.READY, "job_key": "k", "after": job.id - 1, "limit": 1}
    assert await call("list_jobs", **options) == [details]
    counts = dict.fromkeys(JobState, 0) | {JobState.READY: 2, JobState.SCHEDULED: 1}
    assert await call("count_jobs_by_state") == counts


async def test_administer(call: Caller, look: Look) -> None:
    ids = [(await call("add_job", "a", job_key=f"{n}")).id for n in range(3)]
    [moved] = await call("reschedule_jobs", ids[:1], run_at=LATER, priority=1, attempts=2, max_attempts=5)
    assert (moved.run_at, moved.priority, moved.attempts, moved.max_attempts) == (LATER, 1, 2, 5)
    assert {job.attempts for job in await call("reschedule_jobs", ids)} == {0, 2}
    assert {job.last_error for job in await call("permanently_fail_jobs", ids, TEXT)} == {TEXT}
    assert len(await call("permanently_fail_jobs", ids)) == 3
    assert [job.id for job in await call("complete_jobs", [*ids[:1], 2**63 - 1])] == ids[:1]
    assert await call("complete_jobs", []) == []
    assert (await call("remove_job", "1")).id == ids[1]
    assert await call("remove_job", "unknown") is None
    await commit(call)
    await look.lock(ids[2])
    await call("force_unlock_workers", ["pool-0", "pool-1"])
    await commit(call)
    assert (await look.jobs())[ids[2]]["locked_by"] is None


def test_the_methods_are_the_same() -> None:
    """Name by name and parameter by parameter; only the session and the await differ."""

    def methods(repository: type) -> dict[str, Any]:
        found = vars(repository).items()
        return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}

    asynchronous, sync = methods(JobRepository), methods(SyncJobRepository)
    assert asynchronous.keys() == sync.keys()
    for name, signature in asynchronous.items():
        assert {**signature.parameters, "session": None} == {**sync[name].parameters, "session": None}, name
        assert signature.return_annotation == sync[name].return_annotation, name
