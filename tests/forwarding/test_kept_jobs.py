"""Jobs that were forwarded and are kept: written as they end, replayed, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla import (
    AsyncSession,
    InvalidJobError,
    JobRepository,
    RunCounts,
    Runner,
    TaskDefinitionError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Admin, ForwardedJobs, SyncAdmin, cleanup
from tests.forwarding.sinks import KeptSink, once
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
DAY = timedelta(days=1)


async def kept(sessions: Sessions) -> list[Any]:
    async with sessions() as session:
        rows = await session.execute(text("select * from graphile_worker._private_sqla_forwarded order by id"))
        return list(rows)


def _meant(meant: dict[str, Any]) -> ForwardedJobs:
    arguments: dict[str, Any] = {"task": "out", **meant}
    return ForwardedJobs(**arguments)


async def replay(sessions: Sessions, most: int | None = None, cursor: str | None = None, **meant: Any) -> Any:
    async with sessions.begin() as session:
        return await Admin().replay_forwarded(session, _meant(meant), most=most, cursor=cursor)


async def test_what_was_sent_is_kept_in_its_order(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, recorder: Recorder
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink, keep=DAY)
    later = await add_job("out", {"a": "ü"}, priority=3, queue_name="q", job_key="k", flags=["f"])
    first = await add_job("out", 1, max_attempts=7)
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=2, failed=0)
    assert len(recorder.completed) == 2
    rows = await kept(sessions)
    assert [row.job_id for row in rows] == [first.id, later.id]
    assert [(row.payload, row.priority, row.queue_name, row.max_attempts, row.key, row.flags) for row in rows] == [
        (1, 0, None, 7, None, None),
        ({"a": "ü"}, 3, "q", 25, "k", {"f": True}),
    ]
    assert {row.keep_until - row.forwarded_at for row in rows} == {DAY}


async def test_what_was_not_sent_and_what_is_not_to_be_kept_is_not(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions
) -> None:
    async def refuse_second(messages: Any) -> Any:
        return [None if message.job.payload != 2 else ValueError("no") for message in messages]

    sink = KeptSink()
    sink.answer = once(refuse_second)
    tasks.forward("out", sink, keep=DAY)
    tasks.forward("gone", KeptSink())
    for payload in (1, 2):
        await add_job("out", payload)
    await add_job("gone", 3)
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=2, failed=1)
    assert [row.payload for row in await kept(sessions)] == [1]


async def test_lost_lock_keeps_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, sessions: Sessions, recorder: Recorder
) -> None:
    async def steal(messages: Any) -> Any:
        async with sessions.begin() as session:
            await session.execute(text("update graphile_worker._private_jobs set locked_by = 'other'"))
        return [None for _ in messages]

    sink = KeptSink()
    sink.answer = once(steal)
    tasks.forward("out", sink, keep=DAY)
    await add_job("out", 1)
    await Runner(engine, tasks, observers=[recorder]).run_once()
    assert await kept(sessions) == []
    assert recorder.lost


async def test_replay_adds_them_anew_in_their_order(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, keep=DAY)
    async with sessions.begin() as session:
        specs = [task.spec({"n": number}, queue_name="q", flags=["f"]) for number in range(2500)]
        await JobRepository().add_jobs(session, specs, return_rows=False)
    await Runner(engine, tasks).run_once()
    first_ids = [message.id for batch in sink.batches for message in batch]
    sink.batches.clear()
    waiting = await add_job("out", {"n": -1}, job_key="k", priority=1, run_at=datetime.now(UTC) + DAY)

    replayed = await replay(sessions)
    assert (replayed.jobs, replayed.cursor) == (2500, None)
    async with sessions() as session:
        [job, *_] = await JobRepository().list_jobs(session, limit=2)
        assert job.id == waiting.id, "a replay has no keys: it replaces nothing"
    await Runner(engine, tasks).run_once()
    assert [payload["n"] for payload in sink.payloads] == list(range(2500))
    assert {message.job.queue_name for batch in sink.batches for message in batch} == {"q"}
    assert not {message.id for batch in sink.batches for message in batch} & set(first_ids), "nobody drops them"
    assert len(await kept(sessions)) == 5000


async def test_replay_in_parts_means_what_was_there_at_first(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions
) -> None:
    sink = KeptSink()
    task = tasks.forward("out", sink, keep=DAY)
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [task.spec(number) for number in range(25)])
    await Runner(engine, tasks).run_once()
    added, cursor = [], None
    while True:
        replayed = await replay(sessions, most=10, cursor=cursor)
        added.append(replayed.jobs)
        await Runner(engine, tasks).run_once()  # forwards and keeps them: not to be replayed
        cursor = replayed.cursor
        if cursor is None:
            break
    assert added == [10, 10, 5]
    assert sink.payloads == [*range(25), *range(25)]


@pytest.mark.parametrize(
    ("meant", "payloads"),
    [
        ({"queue_name": "a"}, [{"n": 1, "who": "x"}]),
        ({"payload": {"who": "y"}}, [{"n": 2, "who": "y"}]),
        ({"payload": {"who": "z"}}, []),
        ({"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2030, 1, 1, tzinfo=UTC)}, 3),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"since": datetime(2100, 1, 1, tzinfo=UTC)}, []),
        ({"task": "other"}, []),
        ({"job_ids": []}, []),
    ],
)
async def test_what_is_meant(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, meant: dict[str, Any], payloads: Any
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink, keep=DAY)
    await add_job("out", {"n": 1, "who": "x"}, queue_name="a")
    await add_job("out", {"n": 2, "who": "y"}, queue_name="b")
    async with sessions.begin() as session:
        await session.execute(text(r"""select graphile_worker.add_job('out', '{"n": "\u0000"}')"""))
    await Runner(engine, tasks).run_once()
    sink.batches.clear()
    jobs = _meant(meant)
    async with sessions() as session:
        counted = await Admin().count_forwarded(session, jobs)
    await replay(sessions, **meant)
    await Runner(engine, tasks).run_once()
    assert counted == len(sink.payloads)
    assert (sink.payloads == payloads) if isinstance(payloads, list) else (counted == payloads)


async def test_ids_are_those_of_the_jobs(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink, keep=DAY)
    jobs = [await add_job("out", number) for number in range(3)]
    await Runner(engine, tasks).run_once()
    assert (await replay(sessions, job_ids=[jobs[1].id])).jobs == 1


@pytest.fixture
def sync_session(clean_database: str) -> Iterator[Session]:
    engine = create_engine(make_url(clean_database).set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_sync_session(sync_session: Session) -> None:
    assert SyncAdmin().count_forwarded(sync_session, ForwardedJobs(task="out")) == 0
    assert SyncAdmin().replay_forwarded(sync_session, ForwardedJobs(task="out"), actor="me").jobs == 0
    assert SyncAdmin().list_audit(sync_session)[0].action == "replay"


async def test_those_whose_time_is_over_are_forgotten(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob
) -> None:
    sink = KeptSink()
    tasks.forward("out", sink, keep=DAY)
    for number in range(2):
        await add_job("out", number)
    await Runner(engine, tasks).run_once()
    async with sessions.begin() as session:
        table = "graphile_worker._private_sqla_forwarded"
        await session.execute(text(f"update {table} set keep_until = now() - interval '1 s' where payload::text = '0'"))
    async with Runner(engine, tasks):
        with anyio.fail_after(20):
            while len(await kept(sessions)) > 1:  # noqa: ASYNC110 - the database says it
                await anyio.sleep(0.01)
    async with sessions.begin() as session:
        await session.execute(text(f"update {table} set keep_until = now() - interval '1 s'"))
    cleaned = await cleanup(engine)
    assert cleaned.forwarded == 1
    assert await kept(sessions) == []


async def test_bad_arguments(sessions: Sessions, tasks: TaskRegistry) -> None:
    for keep in (timedelta(0), timedelta(days=4000), 5):
        arguments: Any = {"keep": keep}
        with pytest.raises(TaskDefinitionError, match="keep must be a timedelta"):
            tasks.forward("out", KeptSink(), **arguments)
    bad: list[tuple[str, dict[str, Any]]] = [
        ("task", {"task": "x" * 200}),
        ("since", {"since": datetime(2026, 1, 1)}),
        ("job_ids", {"job_ids": ["x"]}),
        ("payload", {"payload": object()}),
        ("most", {"most": 0}),
        ("cursor", {"cursor": "x"}),
    ]
    for problem, meant in bad:
        with pytest.raises(InvalidJobError, match=problem):
            await replay(sessions, **meant)
