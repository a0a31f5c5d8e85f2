"""The plans of what Admin reads, on a table that is large beside its limits: only by indexes, and no further than told.

Each statement that a call executes is explained as it was: in the same transaction, under the same settings.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from gw_sqla.admin import JobOrder, ScanLimits, SyncAdmin
from tests.admin.door import ROOMY
from tests.support.server import Server, execute

ROWS = 2000
"""How many rows a call may look at."""
LIMITS = ScanLimits(rows=ROWS, timeout=ROOMY.timeout)
MANY = 15_000

FILL = f"""
set search_path = graphile_worker;
insert into _private_tasks (identifier) values ('a'), ('b');
insert into _private_job_queues (queue_name) select 'q' || n from generate_series(1, 50) n;
insert into _private_jobs (task_id) -- added together, ready
  select t.id from _private_tasks t, generate_series(1, {MANY}) n where identifier = 'a';
insert into _private_jobs (task_id, job_queue_id)
  select t.id, q.id from _private_tasks t, _private_job_queues q, generate_series(1, {MANY} / 50) n
  where identifier = 'a';
insert into _private_jobs (task_id, run_at)
  select t.id, now() + n * interval '1 minute' from _private_tasks t, generate_series(1, {MANY}) n
  where identifier = 'a';
insert into _private_jobs (task_id, attempts, last_error)
  select t.id, 25, 'e' || n from _private_tasks t, generate_series(1, {MANY}) n where identifier = 'a';
update _private_jobs set locked_at = now(), locked_by = 'pool-1' where id % 1000 = 0 and is_available;
"""


@pytest.fixture(scope="module", params=["right", "missing"])
def full(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[sa.Engine]:
    """The filled tables, with statistics or without."""
    url = server.create_database(template)
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    execute_now(url, "alter table graphile_worker._private_jobs set (autovacuum_enabled = off)")
    execute_now(url, FILL)
    if request.param == "right":
        execute_now(url, "vacuum analyze")
    yield engine
    engine.dispose()
    server.drop_database(url)


def execute_now(url: str, sql: str) -> None:
    asyncio.run(execute(url, sql))


def explained(engine: sa.Engine, method: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the plans of the statements on jobs that the call executes."""
    plans: list[dict[str, Any]] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "_private_jobs" in statement and not statement.startswith("explain"):
            text = f"explain (analyze, buffers, format json) {statement}"
            driver: psycopg.Connection = connection.connection.driver_connection
            [(plan,)] = driver.execute(text.encode(), parameters).fetchall()
            plans.append((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])

    with Session(engine) as session:
        event.listen(session.connection(), "before_cursor_execute", explain)
        getattr(SyncAdmin(), method)(session, *arguments, limits=LIMITS, **options)
    assert plans
    return plans


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan.get("Relation Name") == "_private_jobs":
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


def rows_read(node: dict[str, Any]) -> float:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


def blocks_read(node: dict[str, Any]) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


TURNS = {"sqla_jobs_ready_index", "sqla_jobs_turn_index"}
PRIMARY = "jobs_pkey1"


@pytest.mark.parametrize(
    ("method", "text", "options", "indexes"),
    [
        ("list_jobs", "", {}, {PRIMARY}),
        ("list_jobs", "", {"descending": True}, {PRIMARY}),
        ("list_jobs", "task:b", {}, {PRIMARY}),
        ("list_jobs", "state:locked", {}, {PRIMARY}),
        ("list_jobs", "error:none-has-this", {}, {PRIMARY}),
        ("list_jobs", "payload.n:1", {}, {PRIMARY}),
        ("list_jobs", "state:failed", {}, {"sqla_jobs_failed_index", PRIMARY}),
        ("list_jobs", "state:failed task:b", {"descending": True}, {"sqla_jobs_failed_index", PRIMARY}),
        ("list_jobs", "state:waiting", {"order": JobOrder.TURN}, TURNS | {PRIMARY}),
        ("list_jobs", "state:ready", {"order": JobOrder.TURN, "descending": True}, TURNS | {PRIMARY}),
        ("list_jobs", "state:scheduled", {"order": JobOrder.TURN}, TURNS | {PRIMARY}),
        ("list_jobs", "state:ready -queue:*", {"order": JobOrder.TURN}, {"sqla_jobs_ready_index", PRIMARY}),
        ("list_jobs", "state:ready queue:q7", {"order": JobOrder.TURN}, {"sqla_jobs_queue_index", PRIMARY}),
        ("list_jobs", "state:ready queue:q7", {}, {"sqla_jobs_queue_index", PRIMARY}),
        ("list_jobs", "key:k,l", {}, {"jobs_key_key1", PRIMARY}),
        ("list_jobs", "key:k state:ready", {"order": JobOrder.TURN}, {"jobs_key_key1", PRIMARY}),
        ("list_jobs", "id:5,70", {"descending": True}, {PRIMARY}),
        ("count_jobs", "", {}, {PRIMARY}),
        ("count_jobs", "state:failed", {}, {"sqla_jobs_failed_index"}),
        ("count_jobs", "state:ready", {}, TURNS),
        ("count_jobs", "state:waiting", {}, TURNS),
        ("count_jobs", "state:scheduled", {}, TURNS),
        ("count_jobs", "state:scheduled,retrying,failed", {}, {PRIMARY}),
        ("list_failures", "state:failed", {}, {"sqla_jobs_failed_index"}),
    ],
)
def test_plan(full: sa.Engine, method: str, text: str, options: dict[str, Any], indexes: set[str]) -> None:
    found = [node for plan in explained(full, method, text, **options) for node in scans(plan)]
    assert [node["Node Type"] for node in found if "Index" not in node["Node Type"]] == [], "only by an index"
    assert {node["Index Name"] for node in found} <= indexes
    lanes = 2 if indexes >= TURNS else 1
    reading_twice = 2  # the edge, and what is before it
    assert sum(rows_read(node) for node in found) <= ROWS * lanes * reading_twice + 500


@pytest.mark.parametrize("after", [False, True])
def test_a_later_page_reads_no_more_than_the_first(full: sa.Engine, after: bool) -> None:
    with Session(full) as session:
        cursor = None
        for _ in range(9 if after else 0):
            page = SyncAdmin(limits=ROOMY).list_jobs(
                session, "state:ready", order=JobOrder.TURN, limit=1000, cursor=cursor
            )
            cursor = page.next
    plans = explained(full, "list_jobs", "state:ready", order=JobOrder.TURN, cursor=cursor)
    found = [node for plan in plans for node in scans(plan)]
    assert sum(rows_read(node) for node in found) <= ROWS * 4 + 500


@pytest.mark.parametrize(
    ("method", "given", "options"),
    [
        ("count_jobs", "state:ready", {}),
        ("count_jobs", "state:waiting", {}),
        ("list_jobs", "state:ready task:b", {"order": JobOrder.TURN}),
        ("list_jobs", "state:ready task:b", {"order": JobOrder.TURN, "descending": True}),
        ("explain_job", 1, {}),
    ],
)
def test_a_range_ends_where_it_ends(full: sa.Engine, method: str, given: Any, options: dict[str, Any]) -> None:
    """Also where all have one priority and one run_at: the index is not read to the end of these."""
    with full.connect() as connection:
        register(connection)
        size = connection.scalar(sa.text("select pg_relation_size('graphile_worker.sqla_jobs_ready_index') / 8192"))
    blocks = sum(blocks_read(node) for plan in explained(full, method, given, **options) for node in scans(plan))
    assert blocks < size * 3 // 2, "the whole index twice, before PostgreSQL 18"


def register(connection: sa.Connection) -> None:
    """Let a worker live that knows the task."""
    connection.execute(
        sa.text(
            "insert into graphile_worker._private_sqla_workers (pool_id, heartbeat_threshold, metadata) "
            """values ('pool', '1 day', '{"tasks"\\: ["a"]}') on conflict do nothing"""
        )
    )
    connection.commit()


@pytest.mark.parametrize(("text", "descending"), [("state:scheduled", False), ("state:ready", True)])
def test_turns_begin_where_they_may(full: sa.Engine, text: str, descending: bool) -> None:
    """Those that are not due yet lie behind all that are."""
    with Session(full) as session:
        page = SyncAdmin(limits=LIMITS).list_jobs(session, text, order=JobOrder.TURN, descending=descending)
        assert (len(page.jobs), page.scanned <= 2 * ROWS) == (100, True)
        assert {job.state for job in page.jobs} == {text.partition(":")[2]}


@pytest.mark.parametrize("method", ["list_tasks", "list_lock_owners", "list_queues", "read_fleet"])
def test_reports(full: sa.Engine, method: str) -> None:
    found = [node for plan in explained(full, method) for node in scans(plan)]
    assert [node["Node Type"] for node in found if "Index" not in node["Node Type"]] == [], "only by an index"
    assert max(rows_read(node) for node in found) <= max(ROWS, MANY) + 100, "queues: their waiting jobs, all counted"
