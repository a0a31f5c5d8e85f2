"""Each check: what makes it warn or call something wrong, its number, and a repair that repairs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.health import Verdict, examine
from tests.health.asking import JOBS, QUEUES, REGISTER, found, run
from tests.schema.roles import Role
from tests.support.server import execute

pytestmark = pytest.mark.anyio


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


async def test_a_role_from_which_the_rows_are_hidden(role: Role, clean_database: str) -> None:
    """It sees no locks and no worker, and does not call that well."""
    given = ("usage on schema", "select on all tables in schema")
    for rights in given:
        await execute(clean_database, f"grant {rights} graphile_worker to {role.name}")
    engine = role.engine(clean_database)
    findings = {finding.check: finding for finding in await examine(engine)}
    for check in ("workers", "locks", "queues", "tasks", "pauses", "crontabs"):
        assert findings[check].verdict is Verdict.UNKNOWN, check
        assert findings[check].found.startswith("row level security hides the rows of _private_"), check
    await execute(clean_database, f"create policy {role.name} on graphile_worker._private_sqla_workers to {role.name}")
    findings = {finding.check: finding for finding in await examine(engine)}
    assert findings["workers"].found.startswith("no worker of gw_sqla's lives")
    await call_asyncio(engine.dispose)


async def test_a_schema_that_is_not_there(engine: AsyncEngine) -> None:
    findings = {finding.check: finding for finding in await examine(engine, schema="no:such 100%")}
    assert findings["schema"].verdict is Verdict.WRONG
    assert findings["schema"].repair == "python -m gw_sqla migrate --schema 'no:such 100%'"
    assert findings["queues"].found == "schema 'no:such 100%' has not all that is looked at"


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_on_trio(engine: AsyncEngine) -> None:
    findings = await examine(engine)
    assert {finding.verdict for finding in findings} == {Verdict.OK, Verdict.WARNING}


NEWER = "insert into graphile_worker.migrations (id, breaking) values (99, true)"


async def test_a_schema_that_is_too_new(engine: AsyncEngine, clean_database: str) -> None:
    """Migrating would not repair it."""
    await execute(clean_database, NEWER)
    try:
        [finding] = [one for one in await examine(engine) if one.check == "schema"]
    finally:
        await execute(clean_database, "delete from graphile_worker.migrations where id = 99")
    assert finding.verdict is Verdict.WRONG
    assert finding.repair == "pip install --upgrade gw-sqla"
