"""The application that the workers under measurement run: tasks that do nothing."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import JobContext, TaskRegistry

TASKS_VARIABLE = "GW_SQLA_BENCH_TASKS"
"""Of the environment: how many more tasks there are, ``task 0`` and so on."""

tasks = TaskRegistry()


@tasks.task("trivial")
async def trivial(payload: dict[str, int]) -> None:
    """Do nothing, as the peers' benchmarks do."""


for number in range(int(os.environ.get(TASKS_VARIABLE, "0"))):
    tasks.task(f"task {number}")(trivial.handler)


@tasks.task("big")
async def big(payload: dict[str, Any]) -> None:
    """Do nothing with much."""


@tasks.task("latency")
async def latency(payload: str) -> None:
    """Print which job has begun."""
    print(payload, flush=True)


@tasks.task("memory")
async def memory() -> None:
    """Print the highest memory of this process so far, in KiB, and what it is now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240 - not a file on a disk
    now = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} {now}", flush=True)


class _Base(DeclarativeBase):
    """The application's models."""


class Account(_Base):
    """A row that a handler of `benchmarks.real_handlers` reads and changes."""

    __tablename__ = "bench_accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    touched: Mapped[int]


_ACCOUNTS = cast("Table", Account.__table__)


@tasks.task("touch")
async def touch(payload: dict[str, int], ctx: JobContext) -> None:
    """Read a row and change it, by statements."""
    async with ctx.session() as session:
        touched = await session.scalar(select(Account.touched).where(Account.id == payload["id"]))
        assert touched is not None
        await session.execute(update(_ACCOUNTS).where(_ACCOUNTS.c.id == payload["id"]).values(touched=touched + 1))


@tasks.task("touch model")
async def touch_model(payload: dict[str, int], ctx: JobContext) -> None:
    """The same by the model."""
    async with ctx.session() as session:
        account = await session.get_one(Account, payload["id"])
        account.touched += 1
