"""Which jobs a claim takes, of tables made by chance: those of a few lines of Python that know no index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import asyncpg
import pytest

from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

FILL = """insert into graphile_worker._private_jobs (task_id, job_queue_id, priority, run_at, attempts)
select (select id from graphile_worker._private_tasks where identifier = 'a'), q.id, j.priority,
  case when j.hour = -100 then '-infinity' else date_trunc('hour', now()) + j.hour * interval '1 hour' end,
  case when j.failed then 25 else 0 end
from unnest($1::text[], $2::int[], $3::int[], $4::bool[]) with ordinality j(queue, priority, hour, failed, n)
left join graphile_worker._private_job_queues q on q.queue_name = j.queue
order by n"""


async def fill(db: asyncpg.Connection, chance: Random, *, jobs: int, queues: int) -> None:
    """Some queues locked; a run of jobs in two queues at the head; some failed, some in the future."""
    await db.execute("insert into graphile_worker._private_tasks (identifier) values ('a') on conflict do nothing")
    await db.execute(
        """insert into graphile_worker._private_job_queues (queue_name, locked_at, locked_by)
        select 'q' || n, case when n % 3 = 0 then now() end, case when n % 3 = 0 then 'other' end
        from generate_series(0, $1 - 1) n""",
        queues,
    )
    rows: list[tuple[str | None, int, int, bool]]
    rows = [(f"q{chance.choice((0, 1))}", -1, -50, False) for _ in range(chance.choice((0, 300)))]
    for _ in range(jobs):
        queue = f"q{chance.randrange(queues)}" if chance.random() < 0.6 else None
        hour = chance.choice((-100, *range(-5, 4)))
        rows.append((queue, chance.choice((-2, 0, 0, 0, 5)), hour, chance.random() < 0.1))
    await db.execute(FILL, *map(list, zip(*rows, strict=True)))


def expected(rows: Sequence[asyncpg.Record], count: int) -> Iterator[int]:
    """One job of a free queue, and all of none, in order."""
    taken: set[int] = set()
    for row in rows:
        queue_id = row["job_queue_id"]
        if queue_id is not None and (row["is_locked"] or queue_id in taken):
            continue
        if queue_id is not None:
            taken.add(queue_id)
        yield row["id"]
        count -= 1
        if not count:
            return


@pytest.mark.parametrize("seed", range(12))
async def test_it_takes_what_comes_first(pool: Pool, db: asyncpg.Connection, seed: int) -> None:
    chance = Random(seed)
    await fill(db, chance, jobs=chance.choice((5, 100, 1000)), queues=chance.choice((3, 40, 400)))
    for count in (1, 7, 60, 500, 2000):
        rows = await db.fetch(
            """select j.id, j.job_queue_id, q.locked_at is not null as is_locked
            from graphile_worker._private_jobs j
            left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
            where j.is_available and j.run_at <= now() order by j.priority, j.run_at, j.id"""
        )
        claimed = await pool.claim(count)
        assert sorted(job.id for job in claimed) == sorted(expected(rows, count))
        await pool.connection.commit()
