"""What others put on the search path, or among the session's temporary objects, is never called by what a role does."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla import CronItem, JobRepository, Runner, RunnerSettings, SyncJobRepository, TaskRegistry, call_asyncio
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.session import AsyncSession
from gw_sqla.schema import sql_files
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.role_check import check_role
from gw_sqla.types import DEFAULT_SCHEMA
from tests.schema.role_work import WORK
from tests.security.conftest import Sessions
from tests.security.sessions import Resolved, hostile_engine
from tests.security.sql_texts import triggers
from tests.statements.snapshot import DIALECT
from tests.statements.test_snapshots import BUILDERS
from tests.support.recorder import Recorder
from tests.support.server import connect, execute

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", WORK)
async def test_the_work_of_each_kind_of_role(
    kind: RoleKind, victims: AsyncEngine, superuser: Sessions, resolved: Resolved
) -> None:
    await WORK[kind](victims, superuser)
    assert (await check_schema(victims, as_=kind)).kind == kind
    assert (await check_role(victims, as_=kind)).missing == ()
    assert resolved.statements > 5


async def test_a_worker(victims: AsyncEngine, superuser: Sessions, resolved: Resolved) -> None:
    """From its start to its end: jobs that end well, fail and complete themselves, cron, heartbeats, a listener."""
    tasks, repo, recorder = TaskRegistry(), JobRepository(), Recorder()

    @tasks.task("well")
    async def well(payload: dict[str, int]) -> None: ...

    @tasks.task("badly")
    async def badly() -> None:
        raise ValueError("no")

    @tasks.task("itself", transactional=True)
    async def itself(session: AsyncSession) -> None: ...

    async with superuser.begin() as session:
        for number in range(4):
            await repo.add_job(session, "well", {"n": number}, queue_name="q" if number % 2 else None)
        await repo.add_job(session, "badly", flags=["a"])
        await repo.add_job(session, "itself", job_key="k")
    often = timedelta(milliseconds=100)
    settings = RunnerSettings(
        poll_interval=often,
        sweep_interval=often,
        heartbeat_interval=often,
        forbidden_flags=["b"],
        crontab=[CronItem("well", "* * * * *", payload={"n": 1})],
    )
    async with Runner(victims, tasks, settings, observers=[recorder]):
        await recorder.until(lambda: len(recorder.completed) >= 5 and len(recorder.failed) == 1)
    assert resolved.statements > 20


async def test_functions_of_a_peer_on_a_workers_path(watched: str, victims: AsyncEngine) -> None:
    """They name nothing with its schema, as ours did once: cron adds its jobs by them, on the worker's connection."""
    db = await call_asyncio(connect, watched)
    known = KnownCrontabs(victims, DEFAULT_SCHEMA)
    try:
        await call_asyncio(_as_a_peers, db)
        item = CronItem("cron", "* * * * *", payload={"a": 1})
        assert await known.schedule(datetime.now(UTC), [item], backfilled=False) == ["cron"]
    finally:
        await known.disconnect()
        for file in ("0007_adding.sql", "0007_managing.sql"):
            await call_asyncio(db.execute, "\n".join(sql_files.statements(file, DEFAULT_SCHEMA)))
        await call_asyncio(db.close)


async def _as_a_peers(db: asyncpg.Connection) -> None:
    await db.execute("set search_path = pg_catalog")
    for statement in sql_files.statements("0001_functions.sql", DEFAULT_SCHEMA):
        await db.execute(re.sub(r"\bcreate function", "create or replace function", statement, count=1))


async def test_each_statement_alone(watched: str, victim: str, resolved: Resolved, anyio_backend: str) -> None:
    """On the path of a session that is not a worker's own, whatever rows there are: what its parse tree names."""
    if anyio_backend == "trio":
        pytest.skip("nothing here runs on it")
    engine = hostile_engine(watched, victim, resolved)
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        before = resolved.statements
        for build in BUILDERS.values():
            await driver.prepare(str(build(DEFAULT_SCHEMA).compile(dialect=DIALECT)))  # type: ignore[attr-defined]
        assert resolved.statements - before == len(BUILDERS)
    await engine.dispose()


def test_adding_by_psycopg(watched: str, victim: str) -> None:
    """Its parameters have other types than asyncpg's."""
    url = sa.make_url(watched).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, connect_args={"options": f"-c role={victim}"}, poolclass=sa.NullPool)
    repo = SyncJobRepository()
    with Session(engine) as session, session.begin():
        repo.add_job(session, "one", {"a": 1}, queue_name="q", flags=["f"], priority=1)
        repo.add_job(session, "one", [1], job_key="k")
        assert repo.add_job(session, "one", [2], job_key="k").payload == [1, 2]
        assert repo.list_jobs(session, task="one", job_key="k")
        assert repo.count_jobs_by_state(session)


@pytest.mark.parametrize("name", triggers())
def test_triggers(name: str, watched: str, victim: str, resolved: Resolved) -> None:
    """Those that run with the rights of who writes the row, and one with those of a superuser who made it."""
    asyncio.run(_with_trigger(name, watched, victim, resolved))


async def _with_trigger(name: str, url: str, victim: str, resolved: Resolved) -> None:
    columns = (
        "id int, note pg_catalog.text, queue_name pg_catalog.text, run_at pg_catalog.timestamptz, max_attempts int"
    )
    more = "job_key pg_catalog.text, priority int, flags pg_catalog.text[]"
    await execute(url, f"create schema shop; create table shop.orders ({columns}, {more})")
    try:
        await execute(url, "set search_path = pg_catalog;\n" + ";\n".join(triggers()[name].create_sql()))
        await execute(url, f"grant usage on schema shop to {victim}; grant all on shop.orders to {victim}")
        engine = hostile_engine(url, victim, resolved)
        async with engine.connect() as connection:
            driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment]
            await driver.execute("insert into shop.orders (id, note) values (1, 'a')")
            await driver.execute("update shop.orders set note = 'b'")
            await driver.execute("delete from shop.orders")
            assert await driver.fetchval("select pg_catalog.count(*) from graphile_worker._private_jobs") > 0
        await engine.dispose()
    finally:
        await execute(url, "drop schema shop cascade")
