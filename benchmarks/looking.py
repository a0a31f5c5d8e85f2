"""What a page and a count of `gw_sqla.admin` take in a full table: ``python -m benchmarks.looking``; prints JSON.

The table has what a bad night leaves: most jobs were added in one go and are ready (one priority, one run_at), a tenth
is in queues, some are scheduled or wait for another attempt, a tenth has failed for good, some hundreds run. Each
reading is made several times, with the limits that Admin has by itself; figures are milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks.database import SCHEMA, measured_database
from gw_sqla import ReadTimeoutError
from gw_sqla.admin import JobOrder, JobPage, ScanLimits, SyncAdmin

TASKS = 20
FILL = f"""
insert into {SCHEMA}._private_tasks (identifier) select 'task ' || i from generate_series(1, {TASKS}) i;
insert into {SCHEMA}._private_job_queues (queue_name) select 'queue ' || i from generate_series(1, 5000) i;
insert into {SCHEMA}._private_jobs
  (task_id, job_queue_id, payload, run_at, attempts, last_error, locked_at, locked_by)
select
  1 + i % {TASKS},
  case when i % 10 = 1 then 1 + (i / 10) % 5000 end,
  json_build_object('order_id', i, 'note', repeat('x', 100)),
  case i % 10 when 2 then now() + i * interval '1 second' when 3 then now() + interval '1 day' else now() end,
  case i % 10 when 3 then 1 when 4 then 25 else 0 end,
  case when i % 10 in (3, 4) then
    'TimeoutError: order ' || i || ' timed out at ' || (array['db', 'api', 'mail'])[1 + i % 3] || E'\\nTraceback: ...'
  end,
  case when i % 10000 = 5 then now() end,
  case when i % 10000 = 5 then 'pool-' || i % 7 end
from generate_series(1, {{jobs}}) i;
vacuum analyze {SCHEMA}._private_jobs;
"""

FILTERS = [
    "",
    "state:failed",
    "state:ready",
    "state:waiting",
    "state:scheduled",
    "state:locked",
    'task:"task 7"',
    'task:"no such task"',
    'state:failed task:"task 5"',
    'queue:"queue 77"',
    "state:failed error:mail",
    "error:nothing-has-this",
    "payload.order_id:{half}",
    "id:{half}",
    "attempts:>3",
    "created:<-1d",
]
ROOMY = ScanLimits(timeout=timedelta(seconds=20))
"""For the way to a page that is measured."""
TURNS = ["state:waiting", "state:ready", "state:scheduled", "state:waiting -queue:*", 'state:ready queue:"queue 77"']


def measure(session: Session, call: Callable[[], Any], runs: int) -> dict[str, Any]:
    """Return the median and the longest time of the call, and what it found the last time."""
    times = []
    found: Any = None
    for _ in range(runs):
        began = time.perf_counter()
        try:
            found = call()
        except ReadTimeoutError as error:
            found = error
        times.append((time.perf_counter() - began) * 1000)
        session.rollback()
    told: dict[str, Any] = {"median": round(median(times), 1), "longest": round(max(times), 1)}
    if isinstance(found, JobPage):
        return told | {"jobs": len(found.jobs), "scanned": found.scanned, "stopped": found.stopped}
    return told | {"found": str(found)[:80]}


def look(session: Session, jobs: int, runs: int) -> dict[str, Any]:
    """Measure every page and count."""
    admin = SyncAdmin()
    report: dict[str, Any] = {}

    def say(name: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        report[name] = measure(session, partial(call, session, *arguments, **options), runs)

    for text in (text.format(half=jobs // 2) for text in FILTERS):
        say(f"first page of {text!r}", admin.list_jobs, text)
        say(f"last page of {text!r}", admin.list_jobs, text, descending=True)
        say(f"count of {text!r}", admin.count_jobs, text)
    for text in TURNS:
        say(f"first turns of {text!r}", admin.list_jobs, text, order=JobOrder.TURN)
        page = admin.list_jobs(session, text, order=JobOrder.TURN, limits=ROOMY)
        for _ in range(5):
            if page.next:
                page = admin.list_jobs(session, text, order=JobOrder.TURN, cursor=page.next, limits=ROOMY)
        session.rollback()
        for way in ("next", "previous"):
            if cursor := getattr(page, way):
                say(f"{way} turns of {text!r}", admin.list_jobs, text, order=JobOrder.TURN, cursor=cursor)
    say("failures", admin.list_failures)
    say("queues", admin.list_queues)
    say("tasks", admin.list_tasks)
    say("lock owners", admin.list_lock_owners)
    say("explain", admin.explain_job, jobs // 2)
    return report


def main() -> None:
    """Fill and look."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with measured_database() as database:
        for statement in FILL.format(jobs=arguments.jobs).split(";\n"):
            if statement.strip():
                database.run(statement)
        engine = sa.create_engine(database.url.set(drivername="postgresql+psycopg"))
        with Session(engine) as session:
            report = look(session, arguments.jobs, arguments.runs)
        engine.dispose()
    over = {name: told for name, told in report.items() if told["longest"] > 200}
    print(json.dumps({"jobs": arguments.jobs, "milliseconds": report, "over 200": sorted(over)}, indent=2, default=str))


if __name__ == "__main__":
    main()
