"""The plans of the writes of outcomes: each is in proportion to the jobs that it writes, not to their square."""

from __future__ import annotations

import json
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.statements.holds import settle_dead_holds
from gw_sqla.statements.kept_jobs import complete_and_keep
from gw_sqla.statements.outcomes import complete, fail, give_back, snooze
from gw_sqla.types import DEFAULT_SCHEMA
from tests.statements.snapshot import DIALECT
from tests.statements.test_claim_plan import nodes, rows_read

pytestmark = pytest.mark.anyio

JOBS = 200

FILL = f"""
set search_path = graphile_worker;
insert into _private_tasks (identifier) values ('a');
insert into _private_job_queues (queue_name, locked_at, locked_by)
  select 'q' || n, now(), 'pool-1' from generate_series(1, {JOBS}) n;
insert into _private_jobs (task_id, job_queue_id, attempts, locked_at, locked_by)
  select t.id, q.id, 1, now(), 'pool-1' from _private_tasks t, _private_job_queues q;
"""

ONE_EACH = {
    "attempts": "1",
    "keyed": "false",
    "locked_ats": "infinity",
    "keys": "null",
    "messages": "no",
    "delays": "1",
    "failed_delays": "1",
    "final": "false",
    "payloads": "null",
    "limits": "5",
    "reasons": "why",
    "tasks": "a",
    "queue_names": "q",
    "seconds": "60",
    "places": "1",
}


@pytest.mark.parametrize("around_locks", [False, True])
@pytest.mark.parametrize(
    "build",
    [
        complete,
        complete_and_keep,
        fail,
        lambda schema, *, around_locks: give_back(schema, heeding_retirements=False, around_locks=around_locks),
        lambda schema, *, around_locks: snooze(schema, heeding_retirements=False, around_locks=around_locks),
    ],
    ids=["complete", "complete_and_keep", "fail", "give_back", "snooze"],
)
async def test_plan(db: asyncpg.Connection, build: Callable[..., TextualSelect], around_locks: bool) -> None:
    await db.execute(FILL)
    jobs = await db.fetch("select id, job_queue_id from graphile_worker._private_jobs")
    values = {name: [value] * JOBS for name, value in ONE_EACH.items()}
    values |= {"ids": [str(job["id"]) for job in jobs], "queue_ids": [str(job["job_queue_id"]) for job in jobs]}
    statement = build(DEFAULT_SCHEMA, around_locks=around_locks).compile(dialect=DIALECT)
    arguments = [
        "'pool-1'" if name == "pool_id" else f"'{{{','.join(values[name])}}}'" for name in statement.positiontup or ()
    ]
    assert await explained(db, str(statement), arguments) == JOBS
    assert await db.fetchval("select count(*) from graphile_worker._private_job_queues where is_available") == JOBS


async def test_plan_of_settling(db: asyncpg.Connection) -> None:
    await db.execute(FILL + "update _private_jobs set locked_at = null, locked_by = null, updated_at = now();")
    await db.execute("""insert into _private_sqla_holds (id, pool_id, job_ids, held_at, owned_until)
  select 7, 'pool-1', array_agg(id), now(), now() from _private_jobs""")
    statement = settle_dead_holds(DEFAULT_SCHEMA).compile(dialect=DIALECT)
    values = {"hold_ids": "'{7}'", "job_ids": "null", "delay": "interval '1 s'"}
    assert await explained(db, str(statement), [values[name] for name in statement.positiontup or ()]) == 1
    assert await db.fetchval("select count(*) from _private_jobs where attempts = 2") == JOBS


async def explained(db: asyncpg.Connection, statement: str, arguments: list[str]) -> int:
    """Run a statement as a worker does; return how many rows it gives. No part of it reads each job many times."""
    await db.execute(SESSION_SETTINGS)
    await db.execute(f"prepare write as {statement}")
    text = await db.fetchval(f"explain (analyze, format json) execute write ({', '.join(arguments)})")
    plan = json.loads(text)[0]["Plan"]
    read = [(rows_read(node) + node.get("Rows Removed by Join Filter", 0), node["Node Type"]) for node in nodes(plan)]
    assert max(read)[0] <= 2 * JOBS, max(read)
    return int(plan["Actual Rows"])
