"""The queue's schema as a separate history, with asyncpg: the application's Alembic never hears of it.

    pip install .                     # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    cd examples/alembic_separate
    python -m gw_sqla migrate         # the queue, counted in a version table of its own
    alembic upgrade head              # the application, counted in alembic_version

The queue goes first: a revision of the application puts a trigger on a table. ``include_object`` is what keeps
``alembic revision --autogenerate`` and ``alembic check`` from offering to drop the queue's tables.
"""

from __future__ import annotations

import asyncio
import os

import sqlalchemy as sa
from alembic import context
from models import Base
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import parse_url
from gw_sqla.operations import include_object  # also gives op its operations


def run(connection: sa.Connection | None = None) -> None:
    context.configure(
        connection=connection,
        dialect_name=None if connection else "postgresql",  # offline: alembic upgrade head --sql
        target_metadata=Base.metadata,
        include_schemas=True,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(parse_url(os.environ["DATABASE_URL"]), poolclass=sa.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)


if context.is_offline_mode():
    run()
else:
    asyncio.run(run_online())
