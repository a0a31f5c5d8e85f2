"""A worker that forwards jobs to a Redis stream until it is killed, or until nothing is left."""

from __future__ import annotations

import os

import anyio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import Runner, TaskRegistry, async_sessionmaker
from gw_sqla.forwarding import RedisStreamSink

NAME = "killed_forwarder"
"""The application name of these workers' connections; with `work_until_empty` the process's number is behind it."""


def name_of(pid: int) -> str:
    """Return the application name of the connections of one process."""
    return f"{NAME} {pid}"


async def main(url: str, redis: str) -> None:
    engine = create_async_engine(url, connect_args={"server_settings": {"application_name": NAME}})
    tasks = TaskRegistry()
    tasks.forward("out", RedisStreamSink(redis))
    await Runner(engine, tasks).run_once()


async def _until_empty(url: str, redis: str) -> None:
    settings = {"server_settings": {"application_name": name_of(os.getpid())}}
    engine = create_async_engine(url, connect_args=settings)
    tasks = TaskRegistry()
    tasks.forward("out", RedisStreamSink(redis), batch=100)
    sessions = async_sessionmaker(engine)
    async with Runner(engine, tasks):
        while True:
            async with sessions() as session:
                if await session.scalar(text("select count(*) from graphile_worker._private_jobs")) == 0:
                    return
            await anyio.sleep(0.05)


def work(url: str, redis: str, backend: str) -> None:
    """Forward what is ready; what a worker process does."""
    anyio.run(main, url, redis, backend=backend)


def work_until_empty(url: str, redis: str, backend: str) -> None:
    """Forward until there is no job, also none that another process is forwarding."""
    anyio.run(_until_empty, url, redis, backend=backend)
