"""The application whose jobs the tests run."""

from __future__ import annotations

import anyio
from pydantic import BaseModel

from gw_sqla import JobContext, TaskRegistry
from gw_sqla.driver import on_trio

tasks = TaskRegistry()


class Greeting(BaseModel):
    """The payload of ``greet``."""

    name: str


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
