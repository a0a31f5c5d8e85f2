"""What an index for reading costs those who write: ``python -m benchmarks.index_cost``; prints JSON.

Each round adds jobs in one statement, claims them by 500 with the worker's own statement, fails a fiftieth for good and
completes the rest, on one connection and without handlers; the sets of indexes take turns. Figures are seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from statistics import median

import asyncpg

from benchmarks.database import SCHEMA, Database, measured_database
from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.statements.claim import claim
from gw_sqla.statements.claim_rules import Bounds
from gw_sqla.worker.claim_cursor import EVERYWHERE
from tests.statements.snapshot import DIALECT
from tests.support.server import connect

BATCH = 500
INDEXES = {
    "none": [],
    "failed": ["(id) where locked_at is null and attempts >= max_attempts"],
    "unavailable": ["(id) where not is_available"],
    "locked": ["(locked_by, id) where locked_at is not null"],
    "queued turn": ["(priority, run_at, id) where is_available and job_queue_id is not null"],
}


async def one_round(db: asyncpg.Connection, jobs: int, queues: int) -> dict[str, float]:
    """Add, claim, complete; return the seconds of each."""
    queue = f"'q' || i % {queues}" if queues else "null"
    began = time.perf_counter()
    await db.execute(
        f"select {SCHEMA}.add_jobs(array_agg(row('trivial', json_build_object('id', i), {queue}, null, null, null, "
        f"null, null)::{SCHEMA}.job_spec)) from generate_series(1, {jobs}) i"
    )
    added = time.perf_counter()
    statement = claim(SCHEMA).compile(dialect=DIALECT)
    values = {
        "task_identifiers": ["trivial"],
        "count": BATCH,
        "pool_id": "pool-bench",
        **EVERYWHERE.parameters(),
        **Bounds.of(BATCH, None)._asdict(),
    }
    claiming = await db.prepare(str(statement))
    arguments = [values[name] for name in statement.positiontup or ()]
    claims = ends = 0.0
    while True:
        start = time.perf_counter()
        rows = await claiming.fetch(*arguments)
        claimed = time.perf_counter()
        claims += claimed - start
        if not rows:
            break
        ids = [row["id"] for row in rows]
        failing = ids[::50]
        await db.execute(
            f"update {SCHEMA}._private_jobs set attempts = max_attempts, locked_at = null, locked_by = null "
            "where id = any ($1)",
            failing,
        )
        await db.execute(f"delete from {SCHEMA}._private_jobs where id = any ($1) and locked_at is not null", ids)
        await db.execute(
            f"update {SCHEMA}._private_job_queues set locked_at = null, locked_by = null where locked_by is not null"
        )
        ends += time.perf_counter() - claimed
    return {"add": added - began, "claim": claims, "end": ends}


async def measure(
    database: Database, jobs: int, queues: int, runs: int, names: list[str]
) -> dict[str, dict[str, float]]:
    """Return the medians of each set of indexes."""
    db = await connect(database.url)
    await db.execute(SESSION_SETTINGS)
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(runs):
        for name, indexes in ((name, INDEXES[name]) for name in names):
            await db.execute(f"truncate {SCHEMA}._private_jobs")
            for number, index in enumerate(indexes):
                await db.execute(f"create index bench_{number} on {SCHEMA}._private_jobs {index}")
            await db.execute("checkpoint")
            seen[name].append(await one_round(db, jobs, queues))
            for number in range(len(indexes)):
                await db.execute(f"drop index {SCHEMA}.bench_{number}")
    await db.close()
    return {
        name: {part: round(median(one[part] for one in rounds), 3) for part in ("add", "claim", "end")}
        for name, rounds in seen.items()
    }


def main() -> None:
    """Measure without queues, and with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_cost", description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--indexes", nargs="+", choices=INDEXES, default=list(INDEXES))
    arguments = parser.parse_args()
    with measured_database() as database:
        report = {
            kind: asyncio.run(measure(database, arguments.jobs, queues, arguments.runs, arguments.indexes))
            for kind, queues in (("without queues", 0), ("in 5,000 queues", 5000))
        }
    print(json.dumps({"jobs": arguments.jobs, "runs": arguments.runs, "seconds": report}, indent=2))


if __name__ == "__main__":
    main()
