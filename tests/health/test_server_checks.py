"""The server, the way to it, its storage: what makes a check warn or call something wrong, and its repair."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.health import Finding, Verdict, examine, look, schema_checks, server_checks
from gw_sqla.health.link_checks import _HEARD_SECONDS
from gw_sqla.health.look import Check, Look, looked
from tests.health.asking import JOBS, found, run
from tests.schema.roles import Role
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer
from tests.support.server import Server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[int]:
    """Hold a transaction open in another session; yield its process."""
    async with engine.connect() as connection:
        result = await call_asyncio(connection.execute, text("select pg_backend_pid(), pg_sleep(0)"))
        yield result.one()[0]
        await call_asyncio(connection.rollback)


async def test_an_old_transaction(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with transaction(engine) as pid:
        assert (await found(engine, "transactions")).verdict is Verdict.OK
        monkeypatch.setattr(server_checks, "_LONG", 0.0)
        finding = await found(engine, "transactions")
        assert finding.verdict is Verdict.WARNING
        assert finding.repair == f"select pg_terminate_backend({pid});"
        monkeypatch.setattr(server_checks, "_TOO_LONG", 0.0)
        assert (await found(engine, "transactions")).verdict is Verdict.WRONG


async def test_sessions_that_are_hidden(engine: AsyncEngine, role: Role, clean_database: str) -> None:
    async with transaction(engine):
        finding = await found(role.engine(clean_database), "transactions")
    assert finding.verdict is Verdict.UNKNOWN
    assert "sessions are hidden from this role" in finding.found


@pytest.fixture
def limited(server: Server, role: Role, clean_database: str) -> str:
    """A URL by which three connections can be made."""
    server.execute(f"alter role {role.name} login password 'secret' connection limit 3")
    return make_url(clean_database).set(username=role.name, password="secret").render_as_string(hide_password=False)


async def test_few_connections(limited: str) -> None:
    engine = create_async_engine(limited)
    finding = await found(engine, "connections")
    await call_asyncio(engine.dispose)
    assert (finding.verdict, finding.number) == (Verdict.WRONG, 2)
    assert finding.found.startswith("2 left of 3 of the role")
    assert finding.repair == "alter role ... connection limit ..."


@pytest.fixture
def single(server: Server, role: Role, limited: str) -> str:
    """A URL by which one connection can be made."""
    server.execute(f"alter role {role.name} connection limit 1")
    return limited


async def test_one_connection_is_all_there_is(single: str) -> None:
    """It listens to nothing then, and tells all else, the limit above all."""
    engine = create_async_engine(single)
    findings = {finding.check: finding for finding in await examine(engine)}
    await call_asyncio(engine.dispose)
    assert findings["connections"].verdict is Verdict.WRONG
    assert findings["listen"].verdict is Verdict.UNKNOWN
    assert findings["listen"].found.startswith("no two connections could be made to look: ")
    assert findings["rights"].verdict is Verdict.WRONG


async def test_a_session_that_is_read_only(clean_database: str) -> None:
    settings = {"server_settings": {"default_transaction_read_only": "on"}}
    engine = create_async_engine(clean_database, connect_args=settings)
    finding = await found(engine, "writable")
    assert (finding.verdict, finding.found) == (Verdict.WRONG, "sessions begin read only")
    await call_asyncio(engine.dispose)


@pytest.fixture
def latin(server: Server) -> Iterator[str]:
    """A database in LATIN1."""
    url = server.create_database(encoding="LATIN1")
    yield url
    server.drop_database(url)


async def test_an_encoding_that_does_not_hold_everything(latin: str) -> None:
    engine = create_async_engine(latin)
    finding = await found(engine, "encoding")
    assert finding.verdict is Verdict.WARNING
    assert finding.found.startswith("LATIN1, which does not hold")
    await call_asyncio(engine.dispose)


async def test_autovacuum_that_is_off(engine: AsyncEngine, clean_database: str) -> None:
    await run(clean_database, f"alter table {JOBS} set (autovacuum_enabled = false)")
    finding = await found(engine, "autovacuum")
    assert finding.verdict is Verdict.WRONG
    assert finding.repair is not None
    await run(clean_database, finding.repair.partition("; or ")[2])
    assert (await found(engine, "autovacuum")).verdict is Verdict.OK


async def test_bloat(engine: AsyncEngine, clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page for one row, where that counts as large; the repair is SQL that runs."""
    await run(clean_database, "select graphile_worker.add_job('a')")
    await run(clean_database, f"vacuum {JOBS}")
    assert (await found(engine, "bloat")).verdict is Verdict.OK
    monkeypatch.setattr(schema_checks, "_BIG", 0)
    finding = await found(engine, "bloat")
    assert finding.verdict is Verdict.WARNING
    assert "_private_jobs has " in finding.found
    assert finding.repair is not None
    for statement in finding.repair.partition("; (full locks")[0].split(";"):
        await run(clean_database, statement)


async def test_a_check_that_takes_too_long(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "_SECONDS", 0.05)

    def sleeps(looking: Look) -> Iterable[Finding]:
        looking.connection.execute(text("select pg_sleep(60)"))
        return ()

    async with engine.connect() as connection:
        [finding] = await call_asyncio(
            connection.run_sync,
            lambda plain: looked(Check("sleepy", sleeps), Look(plain, "graphile_worker", "worker", None)),
        )
    assert (finding.verdict, finding.number) == (Verdict.UNKNOWN, 0.05)
    assert finding.found == "the database had no answer within 0.05 s"


async def test_a_check_that_the_database_refuses(engine: AsyncEngine) -> None:
    """The others go on."""

    def divides(looking: Look) -> tuple[()]:
        looking.connection.execute(text("select 1 / 0"))
        return ()

    async with engine.connect() as connection:
        [finding] = await call_asyncio(
            connection.run_sync,
            lambda plain: looked(Check("divides", divides), Look(plain, "graphile_worker", "worker", None)),
        )
    assert finding.verdict is Verdict.UNKNOWN
    assert "SQLSTATE 22012" in finding.found


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_a_pooler(clean_database: str, mode: Any) -> None:
    """Session mode does; in transaction mode nothing is heard, and both are said."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("needs pgbouncer")
    with start_pgbouncer(program, clean_database, mode) as url:
        arguments = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        engine = create_async_engine(url, connect_args=arguments)
        findings = {finding.check: finding for finding in await examine(engine)}
        await call_asyncio(engine.dispose)
    assert findings["pooler"].number == 1
    if mode == "session":
        assert (findings["pooler"].verdict, findings["listen"].verdict) == (Verdict.OK, Verdict.OK)
    else:
        assert (findings["pooler"].verdict, findings["listen"].verdict) == (Verdict.WARNING, Verdict.WRONG)
        assert f"within {_HEARD_SECONDS:.0f} s" in findings["listen"].found


class Table(NamedTuple):
    """What is known of a table."""

    name: str
    live: int
    dead: int
    threshold: int
    vacuumed: bool = True


def test_autovacuum_that_is_late() -> None:
    late = Table("_private_jobs", 10, 200_000, 52)
    finding = schema_checks._vacuum([late, Table("_private_tasks", 3, 40, 50)], '"s"')
    assert (finding.verdict, finding.number) == (Verdict.WARNING, 200_040)
    assert finding.found == "_private_jobs has 200,000 dead rows beside 10"
    assert finding.repair is not None
    assert finding.repair.startswith('vacuum (analyze) "s"._private_jobs;')


@pytest.mark.parametrize(
    ("skew", "verdict"), [(0.5, Verdict.OK), (-2.9, Verdict.WARNING), (31.0, Verdict.WRONG), (-31.0, Verdict.WRONG)]
)
def test_clocks(skew: float, verdict: Verdict) -> None:
    finding = server_checks._clock(skew, timedelta(milliseconds=10))
    assert (finding.verdict, finding.number) == (verdict, skew)


def test_a_full_queue_of_notifications() -> None:
    found = [server_checks._notifications(usage) for usage in (0.0, 0.2, 0.6)]
    assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.WARNING, Verdict.WRONG]
