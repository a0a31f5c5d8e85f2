"""examples/forwarding: an insert ends in RabbitMQ, by a trigger and a file, without a line of Python that runs."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

import gw_sqla.operations  # noqa: F401 - registers the operations
from tests.cli.command import run
from tests.forwarding.servers import RabbitMQ, running_rabbitmq

EXAMPLE = Path(__file__).parents[2] / "examples/forwarding"


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    with running_rabbitmq() as broker:
        yield broker


async def migrate(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    upgrade: Any = runpy.run_path(str(EXAMPLE / "orders_paid_trigger.py"))["upgrade"]

    def work(connection: Any) -> None:
        connection.execute(text("create table orders (id int primary key, country text, paid boolean)"))
        with Operations.context(MigrationContext.configure(connection)):
            upgrade()

    async with engine.begin() as connection:
        await connection.run_sync(work)


async def shop(url: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        exchange = await channel.declare_exchange("shop", "topic", durable=True)
        await (await channel.declare_queue("german orders", durable=True)).bind(exchange, "orders.de")


async def taken(url: str) -> list[tuple[bytes, Any]]:
    found = []
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.get_queue("german orders")
        while (message := await queue.get(fail=False, no_ack=True)) is not None:
            found.append((message.body, message.headers["order"]))
    return found


async def insert(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("insert into orders values (1, 'de', true), (2, 'de', false)"))
    async with engine.connect() as connection:
        await connection.execute(text("insert into orders values (3, 'de', true)"))
        await connection.rollback()
    async with engine.begin() as connection:
        await connection.execute(text("update orders set paid = true where id = 2"))


def test_insert_ends_in_rabbitmq(clean_database: str, rabbitmq: RabbitMQ) -> None:
    broker = f"amqp://guest:guest@127.0.0.1:{rabbitmq.port}/"
    asyncio.run(shop(broker))
    asyncio.run(migrate(clean_database))
    asyncio.run(insert(clean_database))
    env = {"DATABASE_URL": clean_database, "RABBITMQ_URL": broker}
    done = run("forward", "check", "--config", str(EXAMPLE / "forward.toml"), env=env)
    assert done.returncode == 0, done.stderr
    done = run("forward", "--config", str(EXAMPLE / "forward.toml"), "--once", env=env)
    assert done.stdout == "completed 2, failed 0\n", done.stderr
    assert asyncio.run(taken(broker)) == [
        (b'{"order_id" : 1, "country" : "de"}', "1"),
        (b'{"order_id" : 2, "country" : "de"}', "2"),
    ]
