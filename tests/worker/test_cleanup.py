"""Cleanup: what nobody needs goes, what somebody needs stays, and what was needed just then comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    InvalidJobError,
    JobRepository,
    RunCounts,
    Runner,
    RunnerSettings,
    SchemaBehindError,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.admin import Admin, Cleaned, cleanup, preview_cleanup
from gw_sqla.admin.cleaning import Cleaning
from tests.support.pools import register
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

JUST_NOW = timedelta(seconds=1)


@pytest.fixture
async def cleaning(engine: AsyncEngine) -> AsyncIterator[Cleaning]:
    made = Cleaning(engine, "graphile_worker")
    yield made
    await made.close()


async def run_sql(sessions: Sessions, *statements: str) -> None:
    async with sessions.begin() as session:
        for statement in statements:
            await session.execute(text(statement))


async def names(sessions: Sessions, table: str, column: str) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(text(f"select {column} from graphile_worker.{table} order by 1")))


async def tasks_left(sessions: Sessions) -> list[str]:
    return await names(sessions, "_private_tasks", "identifier")


async def queues_left(sessions: Sessions) -> list[str]:
    return await names(sessions, "_private_job_queues", "queue_name")


async def add_unused(
    sessions: Sessions, add_job: AddJob, *, tasks: tuple[str, ...] = (), queue: str | None = None
) -> None:
    """Add jobs of these tasks, and delete them."""
    for task in tasks:
        await add_job(task, queue_name=queue)
    await run_sql(sessions, "delete from graphile_worker._private_jobs")


async def test_unused_tasks_and_queues_go(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    await add_unused(sessions, add_job, tasks=("gone", "gone too", "kept"), queue="gone")
    await add_job("used", queue_name="used")
    await add_job("failed", queue_name="of a failed one")
    await run_sql(
        sessions,
        "update graphile_worker._private_jobs set attempts = 25 where id = (select max(id) from graphile_worker.jobs)",
    )
    assert await cleanup(engine, keep_tasks=["kept"]) == Cleaned(tasks=2, queues=1)
    assert await tasks_left(sessions) == ["failed", "kept", "used"]
    assert await queues_left(sessions) == ["of a failed one", "used"]
    assert not await cleanup(engine, keep_tasks=["kept"])


async def test_tasks_of_registered_workers_are_kept(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    """All of them, where one does not say which it knows."""
    await add_unused(sessions, add_job, tasks=("known", "unknown"))
    await register(sessions, "pool-mute", silent_for=JUST_NOW)
    assert not await cleanup(engine)
    await run_sql(
        sessions, """update graphile_worker._private_sqla_workers set metadata = '{"tasks": ["known", "other"]}'"""
    )
    assert await cleanup(engine) == Cleaned(tasks=1)
    assert await tasks_left(sessions) == ["known"]


async def test_a_locked_queue_stays_and_so_does_a_locked_row(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob
) -> None:
    """What somebody has locked is not waited for."""
    await add_unused(sessions, add_job, tasks=("a", "b"), queue="of somebody")
    await add_unused(sessions, add_job, tasks=("b",), queue="free")
    await run_sql(
        sessions,
        "update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'p' where queue_name like 'of%'",
    )
    async with sessions() as other:
        await other.execute(text("select from graphile_worker._private_tasks where identifier = 'a' for key share"))
        assert await cleanup(engine) == Cleaned(tasks=1, queues=1)
        await other.rollback()
    assert (await tasks_left(sessions), await queues_left(sessions)) == (["a"], ["of somebody"])


async def test_failed_jobs_go_when_they_are_old(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    """Not those that are locked, nor those with attempts left."""
    ids = [(await add_job("a")).id for _ in range(5)]
    fresh, old, locked, waiting, failed_by_hand = ids
    await run_sql(
        sessions,
        "update graphile_worker._private_jobs set run_at = now() - interval '8 days', updated_at = 'epoch'",
        f"update graphile_worker._private_jobs set attempts = 25 where id <> {waiting}",
        f"update graphile_worker._private_jobs set run_at = now() - interval '6 days' where id = {fresh}",
        f"update graphile_worker._private_jobs set locked_at = now(), locked_by = 'p' where id = {locked}",
        f"update graphile_worker._private_jobs set updated_at = now() where id = {failed_by_hand}",
    )
    assert not await cleanup(engine)
    assert await cleanup(engine, failed_after=timedelta(days=7)) == Cleaned(failed_jobs=1)
    async with sessions() as session:
        left = {job.id for job in await JobRepository().list_jobs(session)}
    assert left == set(ids) - {old}


async def test_a_job_that_the_database_keeps_holds_up_no_other(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob
) -> None:
    """A table of the user's refers to it."""
    ids = [(await add_job("a")).id for _ in range(7)]
    await run_sql(
        sessions,
        "update graphile_worker._private_jobs set attempts = 25, run_at = 'epoch', updated_at = 'epoch'",
        "create table invoices (job_id bigint references graphile_worker._private_jobs)",
        f"insert into invoices values ({ids[2]})",
    )
    try:
        assert (await cleanup(engine, failed_after=timedelta(0))).failed_jobs == 6
        assert await cleanup(engine, failed_after=timedelta(0)) == Cleaned()
    finally:
        await run_sql(sessions, "drop table invoices")


@pytest.mark.parametrize("came_back", [False, True])
async def test_what_a_transaction_was_using_comes_back(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, cleaning: Cleaning, came_back: bool
) -> None:
    """Under the same id; or, where its name is there anew, the job gets the new one."""
    tasks.task("a")(lambda: None)
    await add_unused(sessions, add_job, tasks=("a",), queue="q")
    async with sessions.begin() as slow:
        await JobRepository().add_job(slow, "a", queue_name="q")
        assert await cleanup(engine) == Cleaned(tasks=1, queues=1)
        if came_back:
            await add_job("a", queue_name="q")
    assert await names(sessions, "jobs", "task_identifier") == (["a", None] if came_back else [None])
    if came_back:
        assert await Runner(engine, tasks).run_once() == RunCounts(1, 0)
    assert await cleaning.restore() == 2
    assert await cleaning.restore() == 0
    async with sessions() as session:
        found = await JobRepository().list_jobs(session)
    assert [(restored.task_identifier, restored.queue_name) for restored in found] == [("a", "q")]
    assert (await tasks_left(sessions), await queues_left(sessions)) == (["a"], ["q"])
    assert await Runner(engine, tasks).run_once() == RunCounts(1, 0)


async def test_what_was_removed_is_noted_for_a_day(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    await add_unused(sessions, add_job, tasks=("a",), queue="q")
    await cleanup(engine)
    assert await names(sessions, "_private_sqla_removed", "name") == ["a", "q"]
    await run_sql(
        sessions,
        "update graphile_worker._private_sqla_removed set removed_at = now() - interval '25 hours' where name = 'a'",
    )
    await cleanup(engine)
    assert await names(sessions, "_private_sqla_removed", "name") == ["q"]


async def test_one_of_all_workers_cleans_in_an_interval(engine: AsyncEngine) -> None:
    many = [Cleaning(engine, "graphile_worker") for _ in range(5)]
    turns: list[bool] = []

    async def ask(one: Cleaning) -> None:
        turns.append(await one.take_turn(timedelta(hours=1)))

    async with anyio.create_task_group() as asking:
        for one in many:
            asking.start_soon(ask, one)
    assert sorted(turns) == [False] * 4 + [True]
    assert not await many[0].take_turn(timedelta(hours=1))
    assert await many[0].take_turn(timedelta(0))
    for one in many:
        await one.close()


async def test_a_worker_cleans_by_itself_and_runs_what_comes_back(
    engine: AsyncEngine, tasks: TaskRegistry, sessions: Sessions, add_job: AddJob, recorder: Recorder
) -> None:
    """Its own tasks stay; a queue that a slow transaction uses is found again."""

    @tasks.task("mine")
    async def mine() -> None: ...

    await add_unused(sessions, add_job, tasks=("gone",), queue="q")
    settings = RunnerSettings(
        cleanup_interval=timedelta(milliseconds=100), cleanup_keep_tasks=["gone"], poll_interval=timedelta(hours=1)
    )
    async with Runner(engine, tasks, settings, observers=[recorder]):
        async with sessions.begin() as slow:
            await JobRepository().add_job(slow, mine, queue_name="q")
            with anyio.fail_after(20):
                while await queues_left(sessions):  # noqa: ASYNC110 - nothing tells
                    await anyio.sleep(0.02)
        await recorder.until(lambda: recorder.completed)
    assert recorder.completed[0].job.queue_name == "q"
    assert await tasks_left(sessions) == ["gone", "mine"]


@pytest.mark.parametrize(
    "arguments", [{"failed_after": timedelta(-1)}, {"failed_after": 3}, {"keep_tasks": "a"}, {"keep_tasks": [1]}]
)
async def test_refused(engine: AsyncEngine, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(arguments))}: must be"):
        await cleanup(engine, **arguments)
    with pytest.raises(ConfigurationError, match=f"^{next(iter(arguments))}: must be"):
        await preview_cleanup(engine, **arguments)


@pytest.fixture
async def old(sessions: Sessions, add_job: AddJob) -> None:
    """Tasks and queues: used, unused, of a job that failed long ago and of one that failed just now."""
    await add_unused(sessions, add_job, tasks=("unused", "kept"), queue="unused")
    await add_job("used", queue_name="used")
    await add_job("old", queue_name="old")
    await add_job("fresh", queue_name="fresh")
    failed = "update graphile_worker._private_jobs set attempts = 25, updated_at = 'epoch', run_at = "
    which = "where task_id = (select id from graphile_worker._private_tasks where identifier = "
    await run_sql(sessions, f"{failed} 'epoch' {which} 'old')", f"{failed} now() {which} 'fresh')")


WEEK = timedelta(days=7)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, Cleaned(tasks=2, queues=1)),
        ({"failed_after": WEEK, "keep_tasks": ["kept"]}, Cleaned(tasks=2, queues=2, failed_jobs=1)),
        ({"failed_after": timedelta(0), "queues": False}, Cleaned(tasks=4, failed_jobs=2)),
        ({"failed_after": WEEK, "tasks": False, "queues": False}, Cleaned(failed_jobs=1)),
    ],
)
async def test_a_preview_says_what_a_cleanup_does(
    engine: AsyncEngine, sessions: Sessions, arguments: dict[str, Any], expected: Cleaned
) -> None:
    """Tasks and queues of jobs that go, too; and it does nothing."""
    before = (await tasks_left(sessions), await queues_left(sessions))
    assert await preview_cleanup(engine, **arguments) == expected
    assert (await tasks_left(sessions), await queues_left(sessions)) == before
    assert await cleanup(engine, **arguments) == expected


async def test_a_preview_beside_workers(engine: AsyncEngine, sessions: Sessions, add_job: AddJob) -> None:
    await add_unused(sessions, add_job, tasks=("known", "unknown"))
    await register(sessions, "pool-mute", silent_for=JUST_NOW)
    assert not await preview_cleanup(engine)
    await run_sql(sessions, """update graphile_worker._private_sqla_workers set metadata = '{"tasks": ["known"]}'""")
    assert await preview_cleanup(engine) == Cleaned(tasks=1)


async def lines(sessions: Sessions) -> list[tuple[Any, ...]]:
    async with sessions() as session:
        found = await Admin().list_audit(session)
    return [(line.actor, line.action, line.detail, line.subject, line.jobs) for line in found]


@pytest.mark.usefixtures("old")
async def test_it_leaves_a_line_when_asked_to(engine: AsyncEngine, sessions: Sessions) -> None:
    await cleanup(engine, tasks=False, queues=False)
    assert await lines(sessions) == []
    await cleanup(engine, failed_after=WEEK, actor="ada")
    what = "unused tasks, unused queues, jobs failed for 7 days, 0:00:00"
    assert await lines(sessions) == [("ada", "cleanup", "tasks=3 queues=2 restored=0", what, 1)]


@pytest.mark.usefixtures("old")
async def test_one_that_is_ended_leaves_a_line_of_what_it_did(engine: AsyncEngine, sessions: Sessions) -> None:
    """Jobs go first; the deletion of tasks is refused by a trigger."""
    await run_sql(
        sessions,
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$",
        "create trigger refuse before delete on graphile_worker._private_tasks execute function refuse()",
    )
    try:
        with pytest.raises(asyncpg.RaiseError):
            await cleanup(engine, failed_after=WEEK, actor="ada")
    finally:
        await run_sql(sessions, "drop function refuse cascade")
    [line] = await lines(sessions)
    assert (line[0], line[2], line[4]) == ("ada", "tasks=0 queues=0 restored=0", 1)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("table", ["_private_sqla_workers", "_private_sqla_removed"])
async def test_a_schema_that_a_peer_made(engine: AsyncEngine, sessions: Sessions, table: str) -> None:
    """Nothing is done, not even what could be."""
    await run_sql(sessions, f"alter table graphile_worker.{table} rename to elsewhere")
    try:
        for call in (cleanup, preview_cleanup):
            with pytest.raises(SchemaBehindError, match=f"no table {table}, so nothing can be cleaned up"):
                await call(engine, failed_after=WEEK)
    finally:
        await run_sql(sessions, f"alter table graphile_worker.elsewhere rename to {table}")
    assert (await preview_cleanup(engine, failed_after=WEEK)).failed_jobs == 1


@pytest.mark.usefixtures("old")
async def test_without_the_table_of_lines_nothing_is_done(engine: AsyncEngine, sessions: Sessions) -> None:
    await run_sql(sessions, "alter table graphile_worker._private_sqla_audit rename to elsewhere")
    try:
        with pytest.raises(SchemaBehindError, match="gw_sqla migrate"):
            await cleanup(engine, actor="ada")
    finally:
        await run_sql(sessions, "alter table graphile_worker.elsewhere rename to _private_sqla_audit")
    with pytest.raises(InvalidJobError, match="actor: must have 1 to 200"):
        await cleanup(engine, actor="")
    assert await preview_cleanup(engine) == Cleaned(tasks=2, queues=1)
