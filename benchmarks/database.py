"""The database under measurement: one server with PostgreSQL's default settings, filled and emptied by SQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import migrate
from tests.support.server import connect, execute, restartable_server

SCHEMA = "graphile_worker"

READY = "select 'trivial', json_build_object('id', i), null::text, now() from generate_series(1, {count}) i"
"""Jobs without a queue that are due."""


@dataclass(frozen=True)
class Database:
    """A migrated database of the measured server."""

    url: URL

    @property
    def environment(self) -> dict[str, str]:
        """What a contender finds the database by: DATABASE_URL for Python, PGHOST and so on for Node.js."""
        host, name = str(self.url.query["host"]), str(self.url.database)
        return os.environ | {
            "DATABASE_URL": f"postgresql:///{name}?user={self.url.username}&host={host}",
            "PGHOST": host,
            "PGUSER": str(self.url.username),
            "PGDATABASE": name,
        }

    def run(self, sql: str) -> None:
        """Run SQL."""
        asyncio.run(execute(self.url, sql))

    def value(self, sql: str) -> object:
        """Run a query and return its first value."""

        async def fetch() -> object:
            connection: asyncpg.Connection = await connect(self.url)
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    @contextmanager
    def open_transaction(self) -> Iterator[None]:
        """Keep a transaction open that has a snapshot of the database as it is now."""

        async def begin() -> asyncpg.Connection:
            connection = await connect(self.url)
            await connection.execute("begin isolation level repeatable read; select")
            return connection

        with asyncio.Runner() as loop:
            connection = loop.run(begin())
            try:
                yield
            finally:
                loop.run(connection.close())

    def empty(self) -> None:
        """Leave no job, no queue and no bloat; the tasks stay."""
        self.run(f"truncate {SCHEMA}._private_jobs, {SCHEMA}._private_job_queues, {SCHEMA}._private_sqla_forwarded")

    def fill(self, *selects: str) -> None:
        """Add the rows of each select (task, payload, queue name, run_at), then vacuum and analyze, for good plans."""
        for select in selects:
            self.run(
                f"""with spec (task, payload, queue_name, run_at) as materialized ({select}),
                queues as (
                  insert into {SCHEMA}._private_job_queues (queue_name)
                  select distinct queue_name from spec where queue_name is not null
                  on conflict do nothing returning id, queue_name
                )
                insert into {SCHEMA}._private_jobs (task_id, payload, job_queue_id, run_at)
                select t.id, s.payload, q.id, s.run_at
                from spec s
                join {SCHEMA}._private_tasks t on t.identifier = s.task
                left join queues q on q.queue_name = s.queue_name"""
            )
        self.settle()

    def settle(self) -> None:
        """Vacuum and analyze what a fill or a truncate left; write it out, so that no checkpoint falls into a run."""
        for table in ("jobs", "job_queues", "tasks"):
            self.run(f"vacuum analyze {SCHEMA}._private_{table}")
        self.run("checkpoint")

    def ready(self) -> int:
        """Return how many jobs are due and unlocked in queues that are free."""
        count = self.value(
            f"""select count(*) from {SCHEMA}._private_jobs j
            left join {SCHEMA}._private_job_queues q on q.id = j.job_queue_id
            where j.is_available and j.run_at <= now() and coalesce(q.is_available, true)"""
        )
        assert isinstance(count, int)
        return count


@contextmanager
def measured_database() -> Iterator[Database]:
    """Start a server and migrate its database; GW_SQLA_TEST_DATABASE_URL=local takes the machine's PostgreSQL."""
    with restartable_server(settings="") as server:
        database = Database(server.url)

        async def prepare() -> None:
            engine = create_async_engine(database.url)
            await migrate(engine)
            await engine.dispose()

        asyncio.run(prepare())
        database.run(
            f"insert into {SCHEMA}._private_tasks (identifier) "
            "values ('trivial'), ('big'), ('latency'), ('memory'), ('stuck')"
        )
        yield database
