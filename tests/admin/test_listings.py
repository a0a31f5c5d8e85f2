"""Queues, tasks, workers and the owners of locks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gw_sqla import InvalidJobError
from gw_sqla.admin import Count, ScanLimits
from tests.admin.door import Door
from tests.admin.test_explain import add, worker
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def test_queues(door: Door, look: Look) -> None:
    await worker(look)
    for queue in ("a", "b", "b", "c"):
        await add(look, queue=f"'{queue}'")
    await add(look, queue="'c'", attempts="25")
    await look.execute("update {s}._private_jobs set run_at = '2026-01-01 00:00Z'")
    await look.execute(
        "update {s}._private_job_queues set locked_by = 'pool-1', locked_at = now() where queue_name = 'b'"
    )
    await look.execute(
        "update {s}._private_job_queues set locked_by = 'other', locked_at = now() where queue_name = 'c'"
    )
    await look.execute("insert into {s}._private_job_queues (queue_name) values ('empty')")
    found = await door.ask("list_queues")
    assert [(queue.name, queue.waiting) for queue in found] == [
        ("a", Count(1)),
        ("b", Count(2)),
        ("c", Count(1)),
        ("empty", Count(0)),
    ]
    assert [queue.locked_by for queue in found] == [None, "pool-1", "other", None]
    assert [queue.worker is not None for queue in found] == [False, True, False, False]
    assert [queue.next_run_at is not None for queue in found] == [True, True, True, False]
    assert f"{found[0].next_run_at:%Y-%m-%d}" == "2026-01-01"
    assert [queue.name for queue in await door.ask("list_queues", only_locked=True)] == ["b", "c"]
    assert [queue.name for queue in await door.ask("list_queues", after="a", limit=2)] == ["b", "c"]
    assert [queue.name for queue in await door.ask("list_queues", before="empty", limit=2)] == ["b", "c"]
    assert [queue.name for queue in await door.ask("list_queues", before="c", only_locked=True)] == ["b"]


async def test_a_long_queue_is_counted_no_further_than_told(door: Door, look: Look) -> None:
    await add(look, queue="'q'")
    await look.execute(
        "insert into {s}._private_jobs (task_id, job_queue_id) select j.task_id, j.job_queue_id "
        "from {s}._private_jobs j, generate_series(1, 1500)"
    )
    [queue] = await door.ask("list_queues")
    assert queue.waiting == Count(1000, is_exact=False)


async def test_tasks(door: Door, look: Look) -> None:
    await worker(look, tasks=["a", "z"])
    await worker(look, "pool-dead", silent="1 hour")
    await add(look, run_at="'2026-01-01 00:00Z'")
    await add(look, run_at="now() + interval '1 hour'")
    await add(look, attempts="25")
    await add(look, locked_by="'pool-1'", locked_at="now()")
    await look.execute("insert into {s}._private_tasks (identifier) values ('unused')")
    task, unused = await door.ask("list_tasks")
    assert (task.identifier, task.waiting, task.ready, task.running, task.failed) == (
        "a",
        Count(2),
        Count(1),
        Count(1),
        Count(1),
    )
    assert f"{task.oldest_ready:%Y-%m-%d}" == "2026-01-01"
    assert [one.pool_id for one in task.workers] == ["pool-1"]
    assert (unused.identifier, unused.waiting, unused.oldest_ready, unused.workers) == ("unused", Count(0), None, ())
    assert [task.identifier for task in await door.ask("list_tasks", after="a")] == ["unused"]
    assert [task.identifier for task in await door.ask("list_tasks", before="unused")] == ["a"]
    assert [task.identifier for task in await door.ask("list_tasks", before="z")] == ["a", "unused"]


async def test_running_jobs_among_many(door: Door, look: Look) -> None:
    """Where no index has them, it looks at more rows if it may: the oldest is found behind 2,000 newer ones."""
    await add(look, locked_by="'pool-1'", locked_at="now()")
    await look.execute(
        "insert into {s}._private_jobs (task_id) select j.task_id from {s}._private_jobs j, generate_series(1, 2000)"
    )
    [task] = await door.ask("list_tasks", limits=ScanLimits(5000, timedelta(seconds=30)))
    assert task.running == Count(0, is_exact=False)
    [task] = await door.ask("list_tasks", limits=ScanLimits(20_000, timedelta(seconds=30)))
    assert task.running == Count(1)


async def test_workers(door: Door, look: Look) -> None:
    await worker(look, "pool-2", silent="1 hour")
    await worker(look, "pool-1", concurrency=3, forbidden_flags=["x"], flag_allowlist=[])
    first, second = await door.ask("list_workers")
    assert (first.pool_id, first.is_alive, first.host, first.pid, first.concurrency) == ("pool-1", True, "there", 7, 3)
    assert (first.tasks, first.forbidden_flags, first.flag_allowlist) == ({"a"}, {"x"}, frozenset())
    assert (second.pool_id, second.is_alive, second.flag_allowlist) == ("pool-2", False, None)
    assert [one.pool_id for one in await door.ask("list_workers", after="pool-1")] == ["pool-2"]
    assert [one.pool_id for one in await door.ask("list_workers", before="pool-3")] == ["pool-1", "pool-2"]
    assert [one.pool_id for one in await door.ask("list_workers", before="pool-3", limit=1)] == ["pool-2"]
    assert len(await door.ask("list_workers", limit=1)) == 1
    assert [one.pool_id for one in await door.ask("list_workers", pool_ids=["pool-2", "pool-9"])] == ["pool-2"]
    assert await door.ask("list_workers", pool_ids=[]) == []


@pytest.mark.parametrize("metadata", ["{}", "[]", "null", '"x"', '{"tasks": "a", "pid": "7", "concurrency": {}}'])
async def test_a_register_of_another_version(door: Door, look: Look, metadata: str) -> None:
    await worker(look)
    await look.execute("update {s}._private_sqla_workers set metadata = $1", metadata)
    [found] = await door.ask("list_workers")
    assert (found.tasks, found.pid, found.concurrency, found.knows("a")) == (None, None, None, False)


async def test_owners_of_locks(door: Door, look: Look) -> None:
    await worker(look)
    for owner, queue in (("pool-1", "null"), ("pool-1", "'q'"), ("gone", "null")):
        await add(look, queue=queue, locked_by=f"'{owner}'", locked_at="'2026-01-01 00:00Z'")
    await look.execute("update {s}._private_job_queues set locked_by = 'pool-1', locked_at = '2026-01-02 00:00Z'")
    gone, ours = await door.ask("list_lock_owners")
    assert (gone.locked_by, gone.jobs, gone.queues, gone.worker) == ("gone", 1, 0, None)
    assert (ours.locked_by, ours.jobs, ours.queues, f"{ours.since:%d}") == ("pool-1", 2, 1, "01")
    assert ours.worker is not None


@pytest.mark.parametrize(
    ("method", "options", "why"),
    [
        ("list_queues", {"after": 7}, "after: must be a str"),
        ("list_tasks", {"before": 7}, "before: must be a str"),
        ("list_tasks", {"after": "a", "before": "b"}, "before: give it or after, not both"),
        ("list_queues", {"only_locked": 1}, "only_locked: must be True or False"),
        ("list_tasks", {"limit": 1001}, "limit: must be an int from 1 to 1000"),
        ("list_workers", {"after": "\0"}, "after: has a NUL"),
        ("list_workers", {"pool_ids": "pool-1"}, "pool_ids: must be a list of ids"),
        ("list_workers", {"pool_ids": [""]}, "pool_ids: must have 1 to 1000"),
    ],
)
async def test_bad_arguments(door: Door, look: Look, method: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidJobError, match=why):
        await door.ask(method, **options)
