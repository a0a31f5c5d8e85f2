"""The migrated schema, read back from the catalogs, is the contract's."""

from __future__ import annotations

import subprocess

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.schema.migrations import migrate, migration_sql
from gw_sqla.schema.supported_revisions import HEAD, VERSION_TABLE
from gw_sqla.statements.quoting import quoted
from tests.schema.catalog import Catalog, expected, read
from tests.schema.contract import CONTRACT, OURS, WEIRD
from tests.schema.peer import peer_environment
from tests.support.server import connect

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["graphile_worker", WEIRD], ids=["default", "weird"])
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_migrated_schema_is_the_contract(empty_engine: AsyncEngine, empty_database: str, schema: str) -> None:
    await migrate(empty_engine, schema=schema)
    connection = await connect(empty_database)
    try:
        assert await read(connection, schema) == await expected(connection, schema, CONTRACT, OURS)
        version = await connection.fetchval(f"select version_num from {quoted(schema)}.{VERSION_TABLE}")
        assert version == HEAD
    finally:
        await connection.close()


async def test_sql_for_review_makes_the_same_schema(empty_database: str, schema: str) -> None:
    connection = await connect(empty_database)
    try:
        await connection.execute(migration_sql(schema=schema))
        assert await read(connection, schema) == await expected(connection, schema, CONTRACT, OURS)
        version = await connection.fetchval(f"select version_num from {quoted(schema)}.{VERSION_TABLE}")
        assert version == HEAD
    finally:
        await connection.close()


async def test_functions_work_in_a_weird_schema(empty_engine: AsyncEngine, empty_database: str) -> None:
    await migrate(empty_engine, schema=WEIRD)
    s = quoted(WEIRD)
    connection = await connect(empty_database)
    try:
        for mode in ("replace", "preserve_run_at", "unsafe_dedupe"):
            job = await connection.fetchval(
                f"select id from {s}.add_job('a', queue_name := 'q', job_key := 'k', job_key_mode := $1)", mode
            )
        ids = [job]
        assert len(await connection.fetch(f"select * from {s}.reschedule_jobs($1)", ids)) == 1
        assert len(await connection.fetch(f"select * from {s}.permanently_fail_jobs($1)", ids)) == 1
        assert await connection.execute(f"select {s}.force_unlock_workers(array['w'])") == "SELECT 1"
        assert await connection.fetchval(f"select id from {s}.remove_job('k')") == job
        assert len(await connection.fetch(f"select * from {s}.complete_jobs($1)", ids)) == 0
    finally:
        await connection.close()


@pytest.mark.interop
async def test_peer_makes_the_contract_too(empty_database: str, peer_cli: list[str], peers_own: Catalog) -> None:
    """Shows that contract.py says what the peer says."""
    environment = peer_environment(make_url(empty_database))
    subprocess.run([*peer_cli, "--schema-only"], env=environment, check=True, capture_output=True)  # noqa: ASYNC221
    connection = await connect(empty_database)
    try:
        made = await read(connection, "graphile_worker")
        assert made == await expected(connection, "graphile_worker", CONTRACT, peers_own)
    finally:
        await connection.close()
