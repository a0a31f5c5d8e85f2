"""``migrate`` and ``downgrade``: reports on standard output, SQL without a database, refusals."""

from __future__ import annotations

import asyncio

from gw_sqla.schema.migrations import migration_sql
from gw_sqla.schema.supported_revisions import HEAD
from tests.cli.command import error_line, fetch, run, run_here
from tests.support.server import execute


def test_it_creates_and_removes_a_schema(database: str) -> None:
    env = {"DATABASE_URL": database, "GRAPHILE_WORKER_SCHEMA": "shop jobs"}
    created = run("migrate", env=env)
    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout == f"schema 'shop jobs' created: nothing -> {HEAD}\n"
    assert run("migrate", env=env).stdout == f"schema 'shop jobs' unchanged: {HEAD} -> {HEAD}\n"

    asyncio.run(execute(database, "select \"shop jobs\".add_job('greet')"))
    assert "add --yes" in error_line(run_here("downgrade", "--database-url", database), 2)
    assert "still holds jobs" in error_line(run("downgrade", "--yes", env=env), 1)
    asyncio.run(execute(database, 'delete from "shop jobs"._private_jobs'))

    removed = run("downgrade", "--yes", env=env)
    assert (removed.returncode, removed.stdout) == (0, f"schema 'shop jobs' downgraded: {HEAD} -> nothing\n")
    assert fetch(database, "select from pg_namespace where nspname = 'shop jobs'") == []


def test_sql_is_printed_without_a_database() -> None:
    done = run("migrate", "--sql", "--schema", "x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == migration_sql(schema="x") + "\n"
    assert run_here("migrate", "--sql", "--adopt").stdout == migration_sql(adopt=True) + "\n"


def test_wrong_usage() -> None:
    assert "give --database-url, or set DATABASE_URL" in error_line(run("migrate"), 2)
    assert "--adopt goes with --sql" in error_line(run_here("migrate", "--adopt"), 2)
    assert "PostgreSQL keeps the prefix pg_" in error_line(run_here("migrate", "--sql", "--schema", "pg_x"), 2)
