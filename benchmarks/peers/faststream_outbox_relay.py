"""faststream-outbox, which relays its table to a Redis stream; prints the seconds of so many messages.

Its fetches as large, and as many workers, as gave the best rate here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from faststream.redis import RedisBroker
from faststream_outbox import OutboxBroker, make_outbox_table
from redis.asyncio import Redis
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from gw_sqla import parse_url


async def main(count: int) -> None:
    """Publish into the table, then relay until all are in the stream."""
    metadata = MetaData()
    table = make_outbox_table(metadata, table_name="outbox")
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]), pool_size=40)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    outbox = OutboxBroker(engine, outbox_table=table, logger=None)
    redis = RedisBroker(os.environ["REDIS_URL"], logger=None)  # type: ignore[arg-type] # it takes it
    publisher = redis.publisher(stream="relayed")

    @publisher
    @outbox.subscriber("orders", max_workers=32, fetch_batch_size=500, min_fetch_interval=0.001, max_fetch_interval=1.0)
    async def relay(body: dict[str, Any]) -> dict[str, Any]:
        return body

    async with async_sessionmaker(engine)() as session, session.begin():
        for number in range(count):
            await outbox.publish({"id": number}, queue="orders", session=session)
    client = Redis.from_url(os.environ["REDIS_URL"])
    await redis.connect()
    began = time.perf_counter()
    await outbox.start()
    while await client.xlen("relayed") < count:  # noqa: ASYNC110 - of a server
        await asyncio.sleep(0.005)
    print(time.perf_counter() - began)
    await outbox.stop()
    await redis.stop()
    await client.aclose()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
