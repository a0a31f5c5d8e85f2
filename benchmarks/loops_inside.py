"""What the driver costs on an event loop: ``python loops_inside.py asyncio|trio`` with DATABASE_URL; prints JSON.

A file by itself, with public names only: an interpreter that has another version of gw_sqla installed runs it too.
Microseconds; medians.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median, quantiles

import anyio
import anyio.lowlevel
import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import async_sessionmaker, call_asyncio, database_loop, parse_url

SIDE_BY_SIDE = 10
CALLS = 200
ASKED = 50
ROUNDS = 5


async def each(work: Callable[[], Awaitable[object]], times: int) -> float:
    """Return the microseconds of one call of several in a row."""
    began = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - began) / times * 1e6


async def query(connections: list[asyncpg.Connection]) -> float:
    """Microseconds per query, all connections together, each asking one query after the other."""
    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for connection in connections:
            group.start_soon(each, lambda connection=connection: call_asyncio(connection.fetchval, "select 1"), CALLS)
    return (time.perf_counter() - began) / len(connections) / CALLS * 1e6


async def side_by_side(work: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of one call of several in a row, by several tasks at once."""
    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(SIDE_BY_SIDE):
            group.start_soon(each, work, CALLS // SIDE_BY_SIDE)
    return (time.perf_counter() - began) / CALLS * 1e6


async def beside_computing(connection: asyncpg.Connection) -> dict[str, int]:
    """A trivial query while another task computes, two milliseconds between its awaits."""
    samples: list[float] = []

    async def compute() -> None:
        while True:
            end = time.perf_counter() + 0.002
            while time.perf_counter() < end:
                pass
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(compute)
        samples += [await each(lambda: call_asyncio(connection.fetchval, "select 1"), 1) for _ in range(ASKED)]
        group.cancel_scope.cancel()
    return {"p50": round(median(samples)), "p95": round(quantiles(samples, n=20)[18])}


async def main() -> None:
    """Measure and print."""
    url = os.environ["DATABASE_URL"]
    engine = create_async_engine(parse_url(url), pool_size=SIDE_BY_SIDE)
    sessions = async_sessionmaker(engine)

    async def session() -> None:
        async with sessions.begin() as opened:
            await opened.execute(text("select 1"))

    async with database_loop():
        connections = [await call_asyncio(asyncpg.connect, url) for _ in range(SIDE_BY_SIDE)]
        await each(session, 100)
        found = {
            "query": median([await query(connections[:1]) for _ in range(ROUNDS)]),
            "query, ten side by side": median([await query(connections) for _ in range(ROUNDS)]),
            "session": median([await each(session, CALLS) for _ in range(ROUNDS)]),
            "session, ten side by side": median([await side_by_side(session) for _ in range(ROUNDS)]),
        }
        beside = {}
        for interval in (0.005, 0.0005):
            sys.setswitchinterval(interval)
            beside[f"switch interval {interval * 1000:g} ms"] = await beside_computing(connections[0])
        for connection in connections:
            await call_asyncio(connection.close)
        await call_asyncio(engine.dispose)
    print(json.dumps({name: round(value) for name, value in found.items()} | {"query beside computing": beside}))


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
