"""Each check: what makes it warn or call something wrong, its number, and a repair that repairs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.crontab import CronItem
from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.health import Finding, Verdict, examine, look, schema_checks, server_checks
from gw_sqla.health.link_checks import _HEARD_SECONDS
from gw_sqla.health.look import Look, looked
from tests.schema.roles import Role, temporary_role
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer
from tests.support.server import Server, connect

pytestmark = pytest.mark.anyio

JOBS = "graphile_worker._private_jobs"
QUEUES = "graphile_worker._private_job_queues"
REGISTER = (
    "insert into graphile_worker._private_sqla_workers values ('pool-a', now(), now() - $1::interval, '1 min', $2)"
)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "asyncio"))


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[Role]:
    """A role without rights, in the module's database."""
    with temporary_role(server, clean_database) as made:
        yield made


async def found(engine: AsyncEngine, check: str, **options: Any) -> Finding:
    """Examine, and return the one finding of a check."""
    [finding] = [each for each in await examine(engine, **options) if each.check == check]
    return finding


async def run(url: str, sql: str, *arguments: object) -> None:
    """Run SQL on a connection of its own, on either event loop."""

    async def on_asyncio() -> None:
        connection = await connect(url)
        try:
            await connection.execute(sql, *arguments)
        finally:
            await connection.close()

    await call_asyncio(on_asyncio)


async def test_all_is_well(engine: AsyncEngine, clean_database: str) -> None:
    """Every check is there, once, and has its number."""
    await run(clean_database, REGISTER, timedelta(0), '{"concurrency": 5}')
    findings = await examine(engine)
    assert [finding.check for finding in findings] == [
        *("connection", "version", "encoding", "writable", "clock", "notifications", "pooler", "listen"),
        *(
            "connections",
            "transactions",
            "schema",
            "rights",
            "workers",
            "locks",
            "queues",
            "tasks",
            "pauses",
            "crontabs",
        ),
        *("bloat", "autovacuum"),
    ]
    assert {finding.verdict for finding in findings} == {Verdict.OK}, findings
    assert [finding.repair for finding in findings if finding.repair] == []
    [alive] = [finding for finding in findings if finding.check == "workers"]
    assert (alive.found, alive.number) == ("1 live, with 5 slots", 1)


async def test_no_worker(engine: AsyncEngine) -> None:
    finding = await found(engine, "workers")
    assert (finding.verdict, finding.number) == (Verdict.WARNING, 0)


async def test_a_stuck_queue(engine: AsyncEngine, clean_database: str) -> None:
    """Its lock belongs to none of its jobs; the SQL unlocks it and no other."""
    await run(
        clean_database,
        f"insert into {QUEUES} (queue_name, locked_by, locked_at) values ('it''s', 'pool-a', now() - interval '1 h'), "
        "('new', 'pool-a', now()), ('busy', 'pool-b', now() - interval '1 h')",
    )
    await run(
        clean_database,
        f"insert into {JOBS} (job_queue_id, task_id, locked_by, locked_at) "
        f"select id, 1, locked_by, locked_at from {QUEUES} where queue_name = 'busy'",
    )
    finding = await found(engine, "queues")
    assert (finding.verdict, finding.number) == (Verdict.WRONG, 1)
    assert '"it\'s", by pool-a for 36' in finding.found
    assert finding.repair is not None
    await run(clean_database, finding.repair)
    assert (await found(engine, "queues")).verdict is Verdict.OK
    async with engine.connect() as connection:
        sql = text(f"select count(*) from {QUEUES} where locked_by is not null")
        assert (await call_asyncio(connection.execute, sql)).scalar_one() == 2
        await call_asyncio(connection.rollback)


@pytest.mark.parametrize(
    ("heartbeat", "locked", "verdict", "says"),
    [
        (3600, "2 h", Verdict.WRONG, "1 dead workers hold locks, silent for up to 35"),
        (90, "2 h", Verdict.WARNING, "1 dead workers hold locks, silent for up to 3"),
        (1, "9 h", Verdict.OK, "1 are held, by 1 workers"),
        (None, "5 h", Verdict.WRONG, "1 owners that are not registered hold locks for over four hours: pool-a (1 jobs"),
        (None, "3 h", Verdict.OK, "1 are held, by 1 workers"),
    ],
)
async def test_locks(
    engine: AsyncEngine, clean_database: str, heartbeat: float | None, locked: str, verdict: Verdict, says: str
) -> None:
    """Of the dead, and of the unknown; what the SQL names is unlocked by it."""
    if heartbeat is not None:
        await run(clean_database, REGISTER, timedelta(seconds=heartbeat), "{}")
    await run(
        clean_database,
        f"insert into {JOBS} (task_id, locked_by, locked_at) values (1, 'pool-a', now() - '{locked}'::interval)",
    )
    finding = await found(engine, "locks")
    assert (finding.verdict, finding.number) == (verdict, 1)
    assert finding.found.startswith(says)
    if finding.repair is not None:
        await run(clean_database, finding.repair.partition(";")[0])
        assert (await found(engine, "locks")).number == 0


async def test_a_task_that_nobody_runs(engine: AsyncEngine, clean_database: str) -> None:
    add = "select graphile_worker.add_job($1, run_at => now() - $2::interval)"
    for task, waits in (("nobody", "1 h"), ("nobody", "1 h"), ("new", "1 min"), ("known", "1 h")):
        await run(clean_database, add, task, timedelta(hours=1) if waits == "1 h" else timedelta(minutes=1))
    await run(clean_database, REGISTER, timedelta(0), '{"tasks": ["known"]}')
    finding = await found(engine, "tasks")
    assert (finding.verdict, finding.number) == (Verdict.WRONG, 2)
    assert finding.found.endswith("and no worker of gw_sqla's: nobody (2 jobs)")


async def test_pauses(engine: AsyncEngine, clean_database: str) -> None:
    """Of somebody who may have forgotten them."""
    table = "graphile_worker._private_sqla_pauses"
    await run(clean_database, f"insert into {table} (kind, name, reason) values ('task', 'charge', 'provider down')")
    finding = await found(engine, "pauses")
    assert (finding.verdict, finding.number) == (Verdict.WARNING, 1)
    assert finding.found.startswith("1 hold: task 'charge' since 20")
    assert finding.found.endswith(" UTC: provider down")


async def test_cron_items(engine: AsyncEngine, clean_database: str) -> None:
    """Late, unknown, in time; without items, it cannot be known."""
    known = "insert into graphile_worker._private_known_crontabs values ($1, $2, $3)"
    now = datetime.now(UTC)
    await run(clean_database, known, "late", now - timedelta(days=9), now - timedelta(hours=3))
    await run(clean_database, known, "fine", now - timedelta(days=9), now.replace(minute=0, second=0, microsecond=0))
    items = [
        CronItem(task=name, schedule=schedule) for name, schedule in (("late", "0 * * * *"), ("fine", "0 * * * *"))
    ]
    finding = await found(engine, "crontabs", items=items)
    assert (finding.verdict, finding.number) == (Verdict.WRONG, 1)
    assert finding.found.startswith("1 of 2 items are not scheduled: late (due since ")
    finding = await found(engine, "crontabs", items=[*items[1:], CronItem(task="new", schedule="0 0 1 1 *")])
    assert finding.found == "1 of 2 items are not scheduled: new (no worker has made it known)"
    assert (await found(engine, "crontabs", items=items[1:])).verdict is Verdict.OK
    finding = await found(engine, "crontabs")
    assert (finding.verdict, finding.number) == (Verdict.UNKNOWN, 2)


async def test_a_role_that_may_not_look(role: Role, clean_database: str) -> None:
    """Its rights are wrong, and the command that gives them follows; the rest is unknown and not an error."""
    engine = role.engine(clean_database)
    findings = {finding.check: finding for finding in await examine(engine)}
    rights = findings["rights"]
    assert rights.verdict is Verdict.WRONG
    assert f"role {role.name!r} lacks " in rights.found
    assert rights.repair == f"python -m gw_sqla grants {role.name} --as worker --apply"
    for check in ("schema", "workers", "locks", "queues", "tasks", "crontabs"):
        assert findings[check].verdict is Verdict.UNKNOWN, check
        assert "may not" in findings[check].found
    await call_asyncio(engine.dispose)


async def test_a_schema_that_is_not_there(engine: AsyncEngine) -> None:
    findings = {finding.check: finding for finding in await examine(engine, schema="no:such 100%")}
    assert findings["schema"].verdict is Verdict.WRONG
    assert findings["schema"].repair == "python -m gw_sqla migrate --schema 'no:such 100%'"
    assert findings["queues"].found == "schema 'no:such 100%' has not all that is looked at"


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
            lambda plain: looked(sleeps, "sleepy", Look(plain, "graphile_worker", "worker", None)),
        )
    assert (finding.verdict, finding.number) == (Verdict.UNKNOWN, 0.05)
    assert finding.found == "the database had no answer within 0.05 s"


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


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_on_trio(engine: AsyncEngine) -> None:
    findings = await examine(engine)
    assert {finding.verdict for finding in findings} == {Verdict.OK, Verdict.WARNING}


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
