"""The claim's plan on a table full of jobs that it must not read: scheduled, failed, behind locked queues.

Whatever the statistics are: a queue's table grows from nothing faster than they are gathered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.statements.claim import claim
from gw_sqla.statements.claim_rules import Bounds, Reach, Variant
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.worker.claim_cursor import START, Look
from tests.statements.snapshot import DIALECT

pytestmark = pytest.mark.anyio

MANY = 20_000
"""Jobs of each kind that a claim must not read, and queues without jobs."""
WANTED = 50
FEW = range(1000, 6 * MANY, 1000)
"""Ids, of jobs of all kinds."""

FILL = f"""
set search_path = graphile_worker;
insert into _private_tasks (identifier) values ('a'), ('b');
insert into _private_job_queues (queue_name, locked_at, locked_by)
  select 'locked' || n, now(), 'pool-9' from generate_series(1, 2) n;
insert into _private_job_queues (queue_name) select 'free' || n from generate_series(1, 100) n;
insert into _private_job_queues (queue_name) select 'idle' || n from generate_series(1, {MANY}) n;
insert into _private_jobs (task_id, priority, run_at) -- scheduled, less urgent than what is due
  select t.id, 1, now() + interval '1 day' from _private_tasks t, generate_series(1, {MANY}) n where identifier = 'a';
insert into _private_jobs (task_id, attempts) -- failed
  select t.id, 25 from _private_tasks t, generate_series(1, {MANY}) n where identifier = 'a';
insert into _private_jobs (task_id, job_queue_id) -- behind locked queues
  select t.id, q.id from _private_tasks t, _private_job_queues q, generate_series(1, {MANY} / 2) n
  where identifier = 'a' and queue_name like 'locked%';
insert into _private_jobs (task_id, job_queue_id, run_at, priority) -- scheduled, in a free queue, one more urgent
  select t.id, q.id, now() + interval '1 day', 0 - n % 2 from _private_tasks t, _private_job_queues q,
    generate_series(1, {MANY}) n
  where identifier = 'a' and queue_name = 'free1';
insert into _private_jobs (task_id, job_queue_id) -- due, in free queues
  select t.id, q.id from _private_tasks t, _private_job_queues q, generate_series(1, 20) n
  where identifier = 'a' and queue_name like 'free%';
insert into _private_jobs (task_id) -- due
  select t.id from _private_tasks t, generate_series(1, 2000) n where identifier = 'a';
"""


@pytest.fixture(params=["right", "missing", "of an empty table"])
async def full(db: asyncpg.Connection, request: pytest.FixtureRequest) -> asyncpg.Connection:
    """The filled tables, on a worker's connection, with statistics of one kind."""
    # No statistics but these: an autovacuum that meets the rows uncommitted says that the table is empty and large.
    await db.execute("alter table graphile_worker._private_jobs set (autovacuum_enabled = off)")
    await db.execute("delete from pg_statistic where starelid = 'graphile_worker._private_jobs'::regclass")
    if request.param == "of an empty table":
        await db.execute("vacuum analyze")
    await db.execute(FILL)
    if request.param == "right":
        await db.execute("vacuum analyze")
    await db.execute(SESSION_SETTINGS)
    return db


async def explain(db: asyncpg.Connection, variant: Variant) -> dict[str, Any]:
    """Run the claim as a prepared statement under EXPLAIN ANALYZE and return its plan."""
    statement = claim(DEFAULT_SCHEMA, variant).compile(dialect=DIALECT)
    values = {
        "task_identifiers": "array['a']",
        "forbidden_flags": "array['x']",
        "count": WANTED,
        "among_ids": f"'{{{', '.join(map(str, FEW))}}}'",
        "pool_id": "'pool-1'",
        **Look(START, START).parameters(),
        "after_run_at": f"'{START.run_at}'",
        "after_queued_run_at": f"'{START.run_at}'",
        "released_queues": "'{}'",
        **Bounds.of(WANTED, None)._asdict(),
    }
    arguments = ", ".join(str(values[name]) for name in statement.positiontup or ())
    async with db.transaction():
        await db.execute(f"prepare claim as {statement}")
        text = await db.fetchval(f"explain (analyze, format json) execute claim ({arguments})")
        await db.execute("deallocate claim")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def rows_read(node: dict[str, Any]) -> float:
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


@pytest.mark.parametrize("reach", [Reach.ALL, Reach.ONWARD, Reach.ONWARD_UNQUEUED])
@pytest.mark.parametrize("forbidding_flags", [False, True])
async def test_plan(full: asyncpg.Connection, reach: Reach, forbidding_flags: bool) -> None:
    plan = await explain(full, Variant(reach=reach, forbidding_flags=forbidding_flags))
    assert plan["Actual Rows"] == WANTED
    on_jobs = [node for node in nodes(plan) if node.get("Relation Name") == "_private_jobs"]
    scans = [node for node in on_jobs if node["Node Type"] != "ModifyTable"]
    assert scans
    assert [node["Node Type"] for node in scans if "Index" not in node["Node Type"]] == [], "only by an index"
    read: dict[str, float] = {}
    for node in scans:
        read[node["Index Name"]] = max(rows_read(node), read.get(node["Index Name"], 0))
    by_index = {"sqla_jobs_ready_index"}
    if reach is not Reach.ONWARD_UNQUEUED:
        by_index |= {"sqla_jobs_queue_index", "sqla_jobs_turn_index"}
    assert {*read} == by_index | {"jobs_pkey1"}
    for index in by_index - {"sqla_jobs_queue_index"}:
        conditions = [node.get("Index Cond", "") for node in scans if node["Index Name"] == index]
        [of_jobs] = {condition for condition in conditions if "run_at" in condition}
        assert "priority = p" in of_jobs, "reads jobs that are not due"
        assert "ROW(run_at, id) > ROW(p" in of_jobs, "does not begin at the mark"
    walked = read.pop("sqla_jobs_turn_index", 0)
    assert walked <= 3 * WANTED + 100
    assert max(read.values()) <= 4 * WANTED, f"reads jobs that it does not take: {read}"
    on_queues = [node for node in nodes(plan) if node.get("Relation Name") == "_private_job_queues"]
    assert max(map(rows_read, on_queues), default=0) <= 4 * WANTED, "reads queues that it does not take a job of"


async def test_plan_of_few_ids(full: asyncpg.Connection) -> None:
    """Each is looked up, whatever else is there."""
    plan = await explain(full, Variant(reach=Reach.AMONG))
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "_private_jobs"]
    scans = [node for node in scans if node["Node Type"] != "ModifyTable"]
    assert max(map(rows_read, scans)) <= 2 * len(FEW)
