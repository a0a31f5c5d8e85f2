"""The jobs of one named queue, and how it is seen that no two of them ran at once, whoever ran them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from sqlalchemy import text

from gw_sqla import JobContext, TaskRegistry
from tests.interop.peer_worker import PeerWorker

__all__ = ["Lane", "assert_serial", "make_records", "take_turns"]

Fetch = Callable[..., Awaitable[list[Any]]]

_OVERLAPS = """
    select a.worker, a.job_id, b.worker, b.job_id
    from interop_lane a join interop_lane b
      on a.job_id < b.job_id and tstzrange(a.entered_at, a.left_at) && tstzrange(b.entered_at, b.left_at)
"""


class Lane:
    """Our handler of the queue's jobs: goes on record, then waits for permission to end."""

    def __init__(self, tasks: TaskRegistry, on_entry: Callable[[], None]) -> None:
        self.entries = 0
        self.permit: anyio.Event | None = None
        self._on_entry = on_entry
        tasks.task("ours")(self.run)
        tasks.task("either's")(self.run)

    async def run(self, _payload: object, ctx: JobContext) -> None:
        await record(ctx, "insert into interop_lane (worker, job_id) values ('ours', :job_id)")
        self.permit = permit = anyio.Event()
        self.entries += 1
        self._on_entry()
        await permit.wait()
        self.permit = None
        await record(ctx, "update interop_lane set left_at = clock_timestamp() where job_id = :job_id")


async def record(ctx: JobContext, sql: str) -> None:
    async with ctx.session() as session:
        await session.execute(text(sql), {"job_id": ctx.job.id})


async def make_records(fetch: Fetch) -> None:
    """Make the table in which every handler of the queue's jobs goes on record, a peer's too."""
    await fetch("drop table if exists interop_lane")
    await fetch("""
        create table interop_lane (
          job_id bigint primary key, worker text, entered_at timestamptz default clock_timestamp(), left_at timestamptz
        )
    """)


async def take_turns(lane: Lane, peer: PeerWorker, jobs: int, let_both_look: Callable[[], Awaitable[None]]) -> None:
    """Let the jobs end one after the other, each when workers of both kinds have looked for the next in vain."""

    def entries() -> int:
        return lane.entries + len(peer.named("entered"))

    async def until_entries(count: int) -> None:
        await peer.until(lambda: entries() >= count)

    for turn in range(1, jobs + 1):
        await until_entries(turn)
        await let_both_look()
        assert entries() == turn, "a second job of the queue started while one was running"
        if lane.permit is not None:
            lane.permit.set()
        else:
            await peer.go()


async def assert_serial(fetch: Fetch, peer: str, jobs: int) -> None:
    """Fail if two were on record at once, or one is missing, or one of the two kinds had hardly any."""
    assert [tuple(row) for row in await fetch(_OVERLAPS)] == []
    ran = await fetch("select worker, count(*), count(left_at) from interop_lane group by worker")
    shares = {row["worker"]: row["count"] for row in ran}
    assert shares.keys() == {"ours", peer}
    assert min(shares.values()) >= 3
    assert sum(shares.values()) == jobs
    assert await fetch("select * from graphile_worker._private_jobs") == []
