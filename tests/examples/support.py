"""What the tests of the examples share: a program in a process of its own, and a look into the database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from tests.support.server import connect

ROOT = Path(__file__).parents[2]


def environment(database_url: str, **more: str) -> dict[str, str]:
    """The environment of a user who has set DATABASE_URL as the example says, in PostgreSQL's own spelling."""
    url = database_url.replace("postgresql+asyncpg://", "postgresql://")
    return {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@asynccontextmanager
async def program(example: str, database_url: str) -> AsyncIterator[Process]:
    """Run an example on a port that is free; at the end it must have ended by itself."""
    command = [sys.executable, str(ROOT / "examples" / example)]
    async with await anyio.open_process(
        command, env=environment(database_url, PORT="0"), stderr=subprocess.STDOUT
    ) as process:
        try:
            with anyio.fail_after(60):
                yield process
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()


async def read_until(process: Process, text: str) -> str:
    """Return what the program prints, up to the line that has ``text``."""
    assert process.stdout is not None
    printed = ""
    async for chunk in TextReceiveStream(process.stdout):
        printed += chunk
        if text in printed and printed.endswith("\n"):
            return printed
    raise AssertionError(f"it ended without {text!r}:\n{printed}")


async def rows(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a connection of its own (asyncio only)."""
    connection = await connect(database_url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
