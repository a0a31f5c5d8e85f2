"""Messages per second to a Redis stream, and the time from a commit to the stream.

Run as a program, with a contender's name: it sends what is there and prints the seconds that took it. DATABASE_URL and
REDIS_URL say where. ``latency``: it forwards until it has measured, and prints milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.contenders import HERE
from benchmarks.database import READY, Database
from benchmarks.throughput import Aim, report
from gw_sqla import ClaimedJob, JobRepository, Runner, TaskRegistry, async_sessionmaker, parse_url
from gw_sqla.forwarding import Message, RedisStreamSink
from tests.forwarding.servers import redis_command, running

__all__ = ["forwarding"]

MESSAGES = 50_000
OUTBOX_MESSAGES = 3_000
LATENCIES = 300


async def ours(keep: timedelta | None = None) -> None:
    """The worker, from its start on."""
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    tasks = TaskRegistry()
    tasks.forward("trivial", RedisStreamSink(os.environ["REDIS_URL"]), batch=1000, keep=keep)
    began = time.perf_counter()
    await Runner(engine, tasks).run_once()
    print(time.perf_counter() - began)
    await engine.dispose()


async def kept() -> None:
    """The worker, which keeps what was sent."""
    await ours(timedelta(days=7))


async def sink_alone() -> None:
    """The same sink with the same bytes, without a queue."""
    sink = RedisStreamSink(os.environ["REDIS_URL"])
    await sink.open()
    now = datetime.now(UTC)
    began = time.perf_counter()
    for first in range(0, MESSAGES, 1000):
        jobs = [
            ClaimedJob(number, "trivial", f'{{"id" : {number}}}', None, 0, now, 1, 25, None, None, 0, None)
            for number in range(first, first + 1000)
        ]
        await sink.send([Message(str(job.id), job.payload_text.encode(), job) for job in jobs])
    print(time.perf_counter() - began)
    await sink.close()


async def pipeline() -> None:
    """A loop of redis-py's own pipelines."""
    client = Redis.from_url(os.environ["REDIS_URL"])
    began = time.perf_counter()
    for first in range(0, MESSAGES, 1000):
        pipe = client.pipeline(transaction=False)
        for number in range(first, first + 1000):
            pipe.xadd("trivial", {"id": str(number), "task": "trivial", "body": f'{{"id" : {number}}}'})
        await pipe.execute()
    print(time.perf_counter() - began)
    await client.aclose()


async def latency() -> None:
    """One job after another, each added when the one before is in the stream."""
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]))
    sessions = async_sessionmaker(engine)
    client = Redis.from_url(os.environ["REDIS_URL"])
    tasks = TaskRegistry()
    tasks.forward("trivial", RedisStreamSink(os.environ["REDIS_URL"]))
    took: list[float] = []
    async with Runner(engine, tasks):
        for _ in range(LATENCIES):
            async with sessions() as session:
                await JobRepository().add_job(session, "trivial", {})
                await session.commit()
            began = time.perf_counter()
            while await client.xlen("trivial") <= len(took):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0)
            took.append(1000 * (time.perf_counter() - began))
    print(json.dumps([median(took), quantiles(took, n=100)[94]]))
    await client.aclose()
    await engine.dispose()


def forwarding(database: Database, runs: int) -> dict[str, Any]:
    """50,000 jobs to one stream, beside loops that send the same bytes without a queue, and faststream-outbox."""
    from benchmarks.peers import faststream_outbox_relay as relay

    counts = {
        "ours": MESSAGES,
        "kept": MESSAGES,
        "sink_alone": MESSAGES,
        "pipeline": MESSAGES,
        "faststream-outbox": OUTBOX_MESSAGES,
    }
    rates: dict[str, list[float]] = {name: [] for name in counts}
    latencies: list[list[float]] = []
    with running(redis_command) as broker:
        environment = database.environment | {"REDIS_URL": f"redis://127.0.0.1:{broker.port}"}

        def run(*arguments: str) -> Any:
            command = [sys.executable, "-m", *arguments]
            subprocess.run(["redis-cli", "-p", str(broker.port), "flushall"], check=True, stdout=subprocess.DEVNULL)
            ended = subprocess.run(command, env=environment, cwd=HERE.parent, check=True, stdout=subprocess.PIPE)
            return json.loads(ended.stdout)

        for _ in range(runs):
            for name, count in counts.items():
                database.empty()
                if name == "faststream-outbox":
                    rates[name].append(count / run(relay.__name__, str(count)))
                    continue
                if name in ("ours", "kept"):
                    database.fill(READY.format(count=count))
                rates[name].append(count / run("benchmarks.forwarding", name))
            database.empty()
            latencies.append(run("benchmarks.forwarding", "latency"))
    found = {name: median(values) for name, values in rates.items()}
    details: dict[str, Any] = {
        name: {"messages_per_second": round(found[name]), "of_runs": [round(rate) for rate in values]}
        for name, values in rates.items()
    }
    details["latency_ms"] = {"p50": median(p50 for p50, _ in latencies), "p95": median(p95 for _, p95 in latencies)}
    return report(
        details,
        Aim("messages per second", found["ours"], at_least=20_000),
        Aim("to redis-py's pipelines", found["ours"] / found["pipeline"], at_least=0.5),
        Aim("kept, to not kept", found["kept"] / found["ours"], at_least=0.6),
        Aim("to faststream-outbox", found["ours"] / found["faststream-outbox"], at_least=5),
        Aim("milliseconds from commit to stream, p50", details["latency_ms"]["p50"], at_most=10),
    )


PROGRAMS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "ours": ours,
    "kept": kept,
    "sink_alone": sink_alone,
    "pipeline": pipeline,
    "latency": latency,
}

if __name__ == "__main__":
    asyncio.run(PROGRAMS[sys.argv[1]]())
