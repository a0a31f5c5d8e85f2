"""The whole queue in a few figures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gw_sqla import InvalidJobError, ReadTimeoutError
from gw_sqla.admin import Count, Fleet, ScanLimits
from gw_sqla.types import JobState
from tests.admin.door import Door
from tests.admin.test_explain import add as add_of_a
from tests.admin.test_explain import worker
from tests.admin.test_limits import SHORT, locked_jobs
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

MANY = "insert into {s}._private_jobs (task_id, priority, run_at) select j.task_id, j.priority, j.run_at "


async def add(look: Look, task: str = "a", **columns: str) -> int:
    await look.execute("insert into {s}._private_tasks (identifier) values ($1) on conflict do nothing", task)
    task_id = await look.value("select id from {s}._private_tasks where identifier = $1", task)
    return await add_of_a(look, task_id=str(task_id), **columns)


async def test_an_empty_queue(door: Door, look: Look) -> None:
    assert await door.ask("read_fleet") == Fleet(
        states=dict.fromkeys(JobState, Count(0)),
        oldest_ready_seconds=None,
        tasks=(),
        workers=0,
        slots=0,
        dead_workers=0,
        foreign_owners=0,
    )


async def test_states_and_workers(door: Door, look: Look) -> None:
    await worker(look, tasks=["a"])
    await worker(look, "pool-dead", silent="1 hour")
    for _ in range(3):
        await add(look)
    await add(look, run_at="now() + interval '1 hour'")
    await add(look, run_at="now() + interval '1 hour'", attempts="1")
    await add(look, attempts="25")
    for owner in ("pool-1", "pool-dead", "of a Node worker", "of a Node worker"):
        await look.lock(await add(look))
        await look.execute(
            "update {s}._private_jobs set locked_by = $1 where id = (select max(id) from {s}.jobs)", owner
        )
    seen = await door.ask("read_fleet")
    assert seen.states == {
        JobState.READY: Count(3),
        JobState.SCHEDULED: Count(1),
        JobState.RETRYING: Count(1),
        JobState.FAILED: Count(1),
        JobState.LOCKED: Count(4),
    }
    assert (seen.workers, seen.dead_workers, seen.foreign_owners) == (1, 1, 1)


async def test_forwarded_tasks_are_there_without_jobs_too(door: Door, look: Look) -> None:
    """Those of the dead, too; the furthest behind first, however many other tasks are further behind."""
    await worker(look, tasks=["a", "b", "c"], forwarded=["b", "c"])
    await worker(look, "pool-dead", silent="1 hour", tasks=["d"], forwarded=["d"])
    for task, seconds in (("a", 300), ("b", 100), ("d", 200)):
        await add(look, task=task, run_at=f"now() - interval '{seconds} seconds'")
    await look.execute("update {s}._private_jobs set created_at = run_at")
    await look.lock(await add(look, task="c"))
    seen = await door.ask("read_fleet")
    assert [task.identifier for task in seen.forwarded] == ["d", "b", "c"]
    d, b, c = (task.oldest_seconds for task in seen.forwarded)
    assert 200 <= d < 290
    assert 100 <= b < 190
    assert c == 0, "it is being sent"
    few = await door.ask("read_fleet", most_tasks=1)
    assert [task.identifier for task in few.forwarded] == ["d"]
    assert [task.identifier for task in few.tasks] == ["a"]


async def test_the_oldest_ready_job_of_each_task(door: Door, look: Look) -> None:
    """Whatever its priority; a job that was added late for a time in the past is ready since then only."""
    await worker(look, tasks=["a", "urgent"])
    await add(look, task="a", run_at="now() - interval '10 seconds'", priority="9")
    await add(look, task="urgent", run_at="'-infinity'", priority="-9")
    await add(look, task="nobody", run_at="now() - interval '1 minute'")
    await look.execute("update {s}._private_jobs set created_at = now() - interval '1 hour' where priority = 9")
    await look.execute("update {s}._private_jobs set created_at = now() - interval '2 hours' where priority = 0")
    await add(look, task="later", run_at="now() + interval '1 minute'")
    seen = await door.ask("read_fleet")
    assert [(task.identifier, task.ready, task.workers) for task in seen.tasks] == [
        ("nobody", Count(1), 0),
        ("a", Count(1), 1),
        ("urgent", Count(1), 1),
    ]
    nobody, a, urgent = (task.oldest_seconds for task in seen.tasks)
    assert 60 <= nobody < 90
    assert 10 <= a < 40
    assert 0 <= urgent < 10
    assert seen.oldest_ready_seconds == nobody


async def test_it_looks_no_further_than_told(door: Door, look: Look) -> None:
    """But sees the oldest ready job behind any number of more urgent ones."""
    await add(look, task="urgent", priority="-9")
    await look.execute(MANY + "from {s}._private_jobs j, generate_series(1, 2000)")
    await add(look, task="old", run_at="now() - interval '1 hour'", priority="5")
    await look.execute("update {s}._private_jobs set created_at = run_at where priority = 5")
    seen = await door.ask("read_fleet", limits=ScanLimits(1000, timedelta(seconds=20)))
    assert seen.states[JobState.READY] == Count(501, is_exact=False)
    assert seen.states[JobState.SCHEDULED] == Count(0, is_exact=False)
    assert [task.identifier for task in seen.tasks] == ["old", "urgent"]
    assert seen.oldest_ready_seconds >= 3600


async def test_the_tasks_are_no_more_than_asked_for(door: Door, look: Look) -> None:
    for number in range(5):
        await add(look, task=f"t{number}", run_at=f"now() - interval '{number} minutes'")
    await look.execute("update {s}._private_jobs set created_at = run_at")
    seen = await door.ask("read_fleet", most_tasks=2)
    assert [task.identifier for task in seen.tasks] == ["t4", "t3"]
    assert seen.states[JobState.READY] == Count(5)
    with pytest.raises(InvalidJobError, match="most_tasks: must be an int from 1 to 1000"):
        await door.ask("read_fleet", most_tasks=0)


async def test_out_of_time(door: Door, look: Look) -> None:
    async with locked_jobs(look):
        with pytest.raises(ReadTimeoutError):
            await door.ask("read_fleet", limits=SHORT)
