"""Filters find the jobs that they mean: random ones, compared with what Python says of the rows."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gw_sqla import JobState
from gw_sqla.admin import JobFilter, JobOrder
from tests.admin.door import Door, Transaction
from tests.admin.oracle import ROWS, fits, state_of, turn
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

FILL = """
insert into {s}._private_tasks (identifier) values ('a'), ('b'), ('c');
insert into {s}._private_job_queues (queue_name) values ('q'), ('r:1');
insert into {s}._private_jobs
  (task_id, job_queue_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at, key, locked_at,
   locked_by, flags)
select
  t.ids[1 + i % 3],
  case i % 4 when 0 then q.ids[1] when 1 then q.ids[2] end,
  case i % 6
    when 0 then '{"n": 1, "who": {"name": "ada", "tags": ["x", "y"]}}' when 1 then '[1, "two", null]' when 2 then '{}'
    when 3 then '{"n": "1"}' when 4 then '{"n": null, "": "empty"}' else '{"n": 1, "s": "\\u00e9 \\ud83d\\ude00"}'
  end::json,
  i % 3 - 1,
  now() + (i % 5 - 2) * interval '1 hour',
  i % 4, 3 + i / 4 % 2,
  case i % 5 when 0 then null when 1 then 'Timed OUT after 3 s' when 2 then 'no route' else 'timed out' end,
  now() - (i % 7) * interval '1 day',
  case when i % 3 = 0 then 'k' || i end,
  case when i % 6 = 5 then now() - interval '1 minute' end,
  case when i % 6 = 5 then 'pool-' || i % 2 end,
  case i % 4 when 0 then '{"eu": true}'::jsonb when 1 then '{"eu": true, "slow": true}' end
from generate_series(0, 119) i,
  (select array_agg(id order by id) as ids from {s}._private_tasks) t,
  (select array_agg(id order by id) as ids from {s}._private_job_queues) q;
update {s}._private_jobs set task_id = 0 where id % 40 = 3;
"""

WORDS = """state:ready state:scheduled state:retrying state:locked state:failed state:waiting -state:failed
state:failed,locked task:a task:a,b -task:a task:z queue:q queue:q,r:1 -queue:q queue:* -queue:* queue:z key:k3
key:k3,k6,k9 key:* -key:* -key:k3 locked-by:pool-1 locked-by:* -locked-by:* -locked-by:pool-1 priority:0 priority:<0
priority:0..1 attempts:0 attempts:>1 flag:eu -flag:slow flag:slow created:<-3d created:>-2d created:-4d..-1d run-at:<now
run-at:>1h run-at:<=1h error:* -error:* error:"timed out" -error:"timed out" error:ROUTE payload.n:1 payload.n:*
-payload.n:* payload.who.name:ada payload.who.tags.1:y -payload.who.name:ada payload.1:two payload.2:* payload."":empty
payload.s:"é 😀" id:1..60 id:1,2,3,50"""


def some_filters(seed: int, count: int) -> list[str]:
    """Words at random, those apart that contradict each other."""
    random, found = Random(seed), list[str]()
    every = [word for line in WORDS.split("\n") for word in _split(line)]
    while len(found) < count:
        text = " ".join(random.sample(every, random.choice([1, 1, 2, 2, 3])))
        try:
            JobFilter.parse(text)
        except ValueError:
            continue
        found.append(text)
    return [*every, *found]


def _split(line: str) -> list[str]:
    parts, open_quote = [""], False
    for character in line:
        open_quote ^= character == '"'
        if character == " " and not open_quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@pytest.fixture
async def filled(look: Look) -> Look:
    await look.execute(FILL)
    start = await look.value("select min(id) from {s}._private_jobs")
    await look.execute("alter table {s}._private_jobs alter id drop identity")
    await look.execute(f"update {{s}}._private_jobs set id = id - {start} + 1")
    await look.execute("alter table {s}._private_jobs alter id add generated always as identity")
    return look


async def read(transaction: Transaction, text: str, **options: Any) -> list[int]:
    """Read all pages forwards, and then back again: the same pages."""
    pages = [await transaction.ask("list_jobs", text, **options)]
    while pages[-1].next:
        pages.append(await transaction.ask("list_jobs", text, cursor=pages[-1].next, **options))
    cursor = pages[-1].previous
    for page in reversed(pages[:-1]):
        back = await transaction.ask("list_jobs", text, cursor=cursor, **options)
        assert [job.id for job in back.jobs] == [job.id for job in page.jobs], text
        cursor = back.previous
    assert not (await transaction.ask("list_jobs", text, cursor=cursor, **options)).jobs if cursor else True
    return [job.id for page in pages for job in page.jobs]


async def test_filters_mean_what_python_says_of_the_rows(door: Door, filled: Look) -> None:
    async with door.begin() as transaction:
        now = await transaction.value("select now()")
        rows = await filled.rows(ROWS)
        for number, text in enumerate(some_filters(7, 40)):
            given = JobFilter.parse(text)
            wanted = sorted(row["id"] for row in rows if fits(given, row, now))
            descending = number % 2 == 1
            order = wanted[::-1] if descending else wanted
            assert await read(transaction, text, limit=40, descending=descending) == order, text
            assert (await transaction.ask("count_jobs", text)).number == len(wanted), text


@pytest.mark.parametrize("more", ["", "queue:q", "-queue:*", "task:a error:*"])
@pytest.mark.parametrize("descending", [False, True])
async def test_the_order_of_turns(door: Door, filled: Look, more: str, descending: bool) -> None:
    given = JobFilter.parse(f"state:waiting {more}")
    async with door.begin() as transaction:
        now = await transaction.value("select now()")
        rows = [row for row in await filled.rows(ROWS) if fits(given, row, now)]
        wanted = [row["id"] for row in sorted(rows, key=turn, reverse=descending)]
        assert await read(transaction, str(given), limit=7, order=JobOrder.TURN, descending=descending) == wanted


async def test_a_job_in_a_list_is_what_it_is(door: Door, filled: Look) -> None:
    async with door.begin() as transaction:
        now = await transaction.value("select now()")
        page = await transaction.ask("list_jobs", limit=1000)
        rows = {row["id"]: row for row in await filled.rows(ROWS)}
    assert len(page.jobs) == len(rows)
    for job in page.jobs:
        row = rows[job.id]
        assert (job.task_identifier, job.queue_name, job.state) == (
            row["identifier"],
            row["queue_name"],
            state_of(row, now),
        )
        assert (job.payload_text, job.last_error, job.key) == (row["payload_text"], row["last_error"], row["key"])
        assert (job.run_at, job.locked_by, job.priority) == (row["run_at"], row["locked_by"], row["priority"])
        assert job.has_payload
    assert {job.state for job in page.jobs} == set(JobState)
