"""Procrastinate: ``prepare`` its schema, ``fill`` it with N jobs, ``drain`` it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from procrastinate import App, PsycopgConnector
from procrastinate.types import JSONValue

SLOTS = 24

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"], min_size=4, max_size=SLOTS))


@app.task(name="trivial")
async def trivial(number: int) -> None:
    """Do nothing."""


async def main(verb: str, count: int) -> None:
    """Do one of the three."""
    async with app.open_async():
        if verb == "prepare":
            await app.schema_manager.apply_schema_async()
        elif verb == "fill":
            arguments: list[dict[str, JSONValue]] = [{"number": number} for number in range(count)]
            await trivial.batch_defer_async(*arguments)
        else:
            await app.run_worker_async(
                concurrency=SLOTS, wait=False, delete_jobs="successful", install_signal_handlers=False
            )


if __name__ == "__main__":
    logging.disable(logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
