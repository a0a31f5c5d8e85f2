"""PgQueuer: ``prepare`` its schema, ``fill`` it with N jobs, ``drain`` it in batches of N."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def main(verb: str, count: int) -> None:
    """Do one of the three."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    manager = QueueManager(Queries(AsyncpgDriver(connection)))

    @manager.entrypoint("trivial")
    async def trivial(job: Job) -> None:
        """Do nothing."""

    if verb == "prepare":
        await manager.queries.install()
    elif verb == "fill":
        for first in range(0, count, 1000):
            size = min(1000, count - first)
            await manager.queries.enqueue(["trivial"] * size, [b"{}"] * size, [0] * size)
    else:
        await manager.run(batch_size=count, mode=QueueExecutionMode.drain)
    await connection.close()


if __name__ == "__main__":
    logging.disable(logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
