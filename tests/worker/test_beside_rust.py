"""Graphile Worker RS's table of workers beside ours: nothing of ours stays in it, what it refuses costs nothing else.

That our pools beat there is in test_heartbeat.py; what Rust itself does then is in tests/interop_rust.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.worker.between_claims import BetweenClaims, ClaimConnection
from gw_sqla.worker.registration import BEAT_SETTINGS, Registration
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps
from tests.support.pools import locks, register, registered, take_all
from tests.worker.conftest import AddJob
from tests.worker.test_heartbeat import RUST

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]

LONG_AGO = timedelta(seconds=61)
JUST_NOW = timedelta(seconds=1)
FIVE_HOURS = timedelta(hours=5)


@asynccontextmanager
async def rust_table(
    sessions: Sessions, made: str = RUST, silent_for: Mapping[str, timedelta] | None = None
) -> AsyncIterator[None]:
    """Have the table in the block, with a row for each worker, whose last heartbeat was so long ago."""
    async with sessions.begin() as session:
        await session.execute(text(made))
        beaten = text(
            "insert into graphile_worker._private_workers values (:id, now() - cast(:ago as interval), now(), null)"
        )
        for pool_id, ago in (silent_for or {}).items():
            await session.execute(beaten, {"id": pool_id, "ago": ago})
    try:
        yield
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop table graphile_worker._private_workers"))


@asynccontextmanager
async def a_pool(
    engine: AsyncEngine, connection: WorkerConnection | None = None
) -> AsyncIterator[tuple[Registration, Sweeps]]:
    """A registered pool that has beaten once, and its sweeps."""
    rust = RustWorkers("graphile_worker")
    pool = Registration(
        connection or WorkerConnection(engine, BEAT_SETTINGS),
        "graphile_worker",
        "pool-sweeper",
        rust,
        threshold=timedelta(minutes=1),
        metadata="{}",
    )
    sweeps = Sweeps(engine, "graphile_worker", rust)
    try:
        await pool.register()
        await pool.beat([])
        yield pool, sweeps
    finally:
        await pool.close()
        await sweeps.close()


async def rust_workers(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(text("select id from graphile_worker._private_workers order by id")))


async def test_a_recovered_pool_leaves_no_row_and_who_beats_there_keeps_old_locks(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob
) -> None:
    for owner in ("rust-alive", "rust-dead"):
        await add_job("note")
        await take_all(sessions, owner, held_for=FIVE_HOURS)
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    there = {"rust-alive": JUST_NOW, "rust-dead": FIVE_HOURS, "pool-dead": LONG_AGO}
    async with rust_table(sessions, silent_for=there), a_pool(engine) as (_, sweeps):
        await sweeps.recover(timedelta(0))
        assert (await sweeps.unlock_stale()).owners == ["rust-dead"]
        assert await rust_workers(sessions) == ["pool-sweeper", "rust-alive", "rust-dead"]


async def test_a_pool_that_was_taken_for_dead_leaves_no_row_before_it_is_registered_again(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """It may die before it is, and nobody would recover it then."""
    async with rust_table(sessions), a_pool(engine) as (pool, _):
        for table in ("_private_sqla_workers", "_private_workers"):  # as a sweep does it
            async with sessions.begin() as session:
                await session.execute(text(f"delete from graphile_worker.{table}"))
        assert not (await pool.beat([])).registered
        assert await rust_workers(sessions) == []
        await pool.register()
        assert (await pool.beat([])).registered
        assert await rust_workers(sessions) == ["pool-sweeper"]


UNUSABLE = {
    "another structure": RUST.replace("id text", "worker text"),
    "no heartbeat of ours": RUST.replace("metadata jsonb", "other text"),
}


@pytest.mark.parametrize("made", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_table_that_refuses_us_holds_up_no_recovery(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, caplog: pytest.LogCaptureFixture, made: str
) -> None:
    await add_job("note", queue_name="q")
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    await take_all(sessions, "pool-dead")
    async with rust_table(sessions, made), a_pool(engine) as (_, sweeps):
        [recovered] = await sweeps.recover(timedelta(0))
        assert len(recovered.job_ids) == 1
        assert await locks(sessions) == (0, 0)
        assert await registered(sessions) == ["pool-sweeper"]
    assert caplog.text.count("which Graphile Worker RS made") == 1


@pytest.mark.parametrize("beats", [1, 2])
@pytest.mark.parametrize(
    ("made", "spared"), [(UNUSABLE["another structure"], False), (UNUSABLE["no heartbeat of ours"], True)], ids=UNUSABLE
)
async def test_a_table_that_refuses_us_holds_up_no_unlocking(
    engine: AsyncEngine, sessions: Sessions, add_job: AddJob, made: str, spared: bool, beats: int
) -> None:
    """Whom it shows to be alive keeps its locks, though we cannot beat there; what cannot be read spares nobody."""
    await add_job("note")
    await take_all(sessions, "rust-alive", held_for=FIVE_HOURS)
    async with rust_table(sessions, made, {"rust-alive": JUST_NOW}), a_pool(engine) as (pool, sweeps):
        for _ in range(1, beats):
            await pool.beat([])
        assert (await sweeps.unlock_stale()).owners == ([] if spared else ["rust-alive"])


@pytest.mark.parametrize("shared", [False, True])
async def test_a_table_that_somebody_has_locked_costs_no_heartbeat(
    engine: AsyncEngine, sessions: Sessions, shared: bool
) -> None:
    """Nor, for long, the connection of claims: a beat that waits there goes over one of its own."""
    settings = "set lock_timeout = '100ms'; set statement_timeout = '30s'"
    connection, claims = WorkerConnection(engine, settings), WorkerConnection(engine, "set lock_timeout = '1h'")
    if shared:
        connection = BetweenClaims(ClaimConnection(claims, anyio.Lock()), engine, settings, pooled=False)
    async with rust_table(sessions), a_pool(engine, connection) as (pool, _):
        async with sessions.begin() as session:
            await session.execute(text("delete from graphile_worker._private_workers"))
            await session.execute(text("lock table graphile_worker._private_workers in access exclusive mode"))
            with anyio.fail_after(30):
                assert (await pool.beat([])).registered
        assert await rust_workers(sessions) == []
        await pool.beat([])
        assert await rust_workers(sessions) == ["pool-sweeper"]
    await claims.close()
