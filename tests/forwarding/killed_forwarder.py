"""A worker that forwards 20,000 jobs to a Redis stream until it is killed, or until nothing is left."""

from __future__ import annotations

import anyio
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import Runner, TaskRegistry
from gw_sqla.forwarding import RedisStreamSink

NAME = "killed_forwarder"
"""The application name of these workers' connections."""


async def main(url: str, redis: str) -> None:
    engine = create_async_engine(url, connect_args={"server_settings": {"application_name": NAME}})
    tasks = TaskRegistry()
    tasks.forward("out", RedisStreamSink(redis))
    await Runner(engine, tasks).run_once()


def work(url: str, redis: str, backend: str) -> None:
    """Forward what is ready; what a worker process does."""
    anyio.run(main, url, redis, backend=backend)
