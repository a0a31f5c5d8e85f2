"""What PostgreSQL allows: bare asyncpg that claims 500 jobs with the columns a worker needs, deletes 500.

No handlers, no queues, no guards: a bound for the machine, not a worker. Run as a program: the URL of the
database comes from DATABASE_URL, the number of connections is the first argument.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg

BATCH = 500
CLAIM = f"""
update graphile_worker._private_jobs j
set attempts = j.attempts + 1, locked_at = now(), locked_by = 'pool-ceiling'
where j.id in (
  select c.id
  from graphile_worker._private_jobs c
  where c.is_available = true and c.run_at <= now() and c.task_id = any ($1::int[])
  order by c.priority, c.run_at
  limit {BATCH}
  for update skip locked
)
returning j.id, j.task_id, j.payload::text, j.job_queue_id, j.priority, j.run_at, j.attempts, j.max_attempts, j.key
"""
DELETE = "delete from graphile_worker._private_jobs where id = any ($1::bigint[])"


async def drain(url: str) -> None:
    """Claim and delete until nothing is left."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select id from graphile_worker._private_tasks")
    tasks = [row[0] for row in rows]
    claim, delete = await connection.prepare(CLAIM), await connection.prepare(DELETE)
    while claimed := await claim.fetch(tasks):
        await delete.fetch([row[0] for row in claimed])
    await connection.close()


async def main(connections: int) -> None:
    """Drain the queue over this many connections."""
    await asyncio.gather(*(drain(os.environ["DATABASE_URL"]) for _ in range(connections)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
