"""The application whose jobs the tests run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import anyio
from pydantic import BaseModel

from gw_sqla import JobContext, TaskRegistry
from gw_sqla.database.event_loops import on_trio

tasks = TaskRegistry()


class Greeting(BaseModel):
    """The payload of ``greet``."""

    name: str


class Meeting(BaseModel):
    """The payload of ``meet``."""

    folder: str
    processes: int


class Lingering(BaseModel):
    """The payload of ``linger``."""

    file: str


@tasks.task("greet")
async def greet(payload: Greeting, ctx: JobContext) -> None:
    """Log what the test looks for."""
    ctx.logger.info("%s is greeted on %s", payload.name, "trio" if on_trio() else "asyncio")


@tasks.task("fail")
async def fail() -> None:
    """Fail."""
    raise ValueError("as asked")


@tasks.task("polite")
async def polite(ctx: JobContext) -> None:
    """Run until the worker begins to stop, then complete."""
    ctx.logger.info("the polite job runs")
    await ctx.stopping.wait()


@tasks.task("stubborn")
async def stubborn(ctx: JobContext) -> None:
    """Run until cancelled."""
    ctx.logger.info("the stubborn job runs")
    await anyio.sleep_forever()


@tasks.task("deaf")
async def deaf(ctx: JobContext) -> None:
    """Run on, whatever happens."""
    ctx.logger.info("the deaf job runs")
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


@tasks.task("meet")
def meet(payload: Meeting) -> None:
    """Run, in a thread, until as many processes as expected run this at once."""
    folder = Path(payload.folder)
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < payload.processes:
        time.sleep(0.01)


@tasks.task("linger")
async def linger(payload: Lingering, ctx: JobContext) -> None:
    """Run until there is a file."""
    ctx.logger.info("the lingering job runs")
    while not await anyio.Path(payload.file).exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(0.01)


@tasks.task("die")
async def die() -> None:
    """Take the process along, as when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task("event_loop")
async def event_loop(ctx: JobContext) -> None:
    """Log whose event loop this is; on asyncio."""
    ctx.logger.info("the event loop is of %s", type(asyncio.get_running_loop()).__module__)


more_tasks = TaskRegistry()


@more_tasks.task("wave")
async def wave(ctx: JobContext) -> None:
    """Log what the test looks for."""
    ctx.logger.info("somebody waves")
