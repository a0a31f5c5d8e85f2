"""``migrate`` and ``downgrade``: reports on standard output, SQL without a database, refusals."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from gw_sqla.schema.migration_lock import lock_sql
from gw_sqla.schema.migrations import migration_sql
from gw_sqla.schema.supported_revisions import HEAD
from tests.cli.command import APP, error_line, fetch, run, run_here
from tests.cli.on_terminal import on_terminal
from tests.support.server import connect, execute


def test_it_creates_and_removes_a_schema(database: str) -> None:
    env = {"DATABASE_URL": database, "GRAPHILE_WORKER_SCHEMA": "shop jobs"}
    created = run("migrate", env=env)
    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout == f"schema 'shop jobs' created: nothing -> {HEAD}\n"
    assert run("migrate", env=env).stdout == f"schema 'shop jobs' unchanged: {HEAD} -> {HEAD}\n"

    asyncio.run(execute(database, "select \"shop jobs\".add_job('greet')"))
    assert "add --yes" in error_line(run_here("downgrade", "--database-url", database), 2)
    code, shown = on_terminal("-m", "gw_sqla", "downgrade", env=env, types="n\n")
    assert (code, "Remove the worker schema 'shop jobs'? [y/N]:" in shown) == (130, True), shown
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


def while_locked(database: str, schema: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command while another session holds the lock of the schema's migrations."""

    async def hold() -> subprocess.CompletedProcess[str]:
        holder = await connect(database)
        try:
            await holder.execute("set application_name = 'deploy 17'; begin; " + lock_sql(schema))
            return await asyncio.to_thread(run, *arguments, "--schema", schema, env={"DATABASE_URL": database, **env})
        finally:
            await holder.close()

    return asyncio.run(hold())


def test_a_lock_that_another_holds(database: str) -> None:
    """Said within a second; given up after the time that the option or the variable gives."""
    done = while_locked(database, "held", "migrate", env={"GW_SQLA_LOCK_TIMEOUT": "1"})
    assert done.returncode == 1
    waits, error = done.stderr.splitlines()
    assert waits.startswith("schema 'held': the migration waits for what pid ")
    assert waits.endswith("application 'deploy 17') holds")
    assert error.startswith("Error: schema 'held': gave up after 1 s of waiting for what pid ")
    assert "lock_timeout" in error_line(run_here("migrate", "--lock-timeout", "0", "--database-url", database), 2)
    assert "nan is not a number of seconds" in error_line(run_here("migrate", "--lock-timeout", "nan"), 2)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_lock_that_another_holds_from_a_worker(database: str, processes: str) -> None:
    """``--migrate`` of a worker ends as well; a worker that does not migrate waits for nobody."""
    options = ["--app", APP, "--once", "--processes", processes]
    done = while_locked(database, "kept", "worker", "--migrate", "--lock-timeout", "1", *options, env={})
    assert done.returncode == 1
    assert "schema 'kept': the migration waits for what pid " in done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: schema 'kept': gave up after 1 s of waiting for what pid ")
    assert run("migrate", "--schema", "kept", env={"DATABASE_URL": database}).returncode == 0
    done = while_locked(database, "kept", "worker", *options, env={"GW_SQLA_LOCK_TIMEOUT": "1"})
    assert (done.returncode, done.stdout) == (0, "completed 0, failed 0\n")


def test_check_changes_nothing(database: str) -> None:
    """Created, adopted, upgraded or nothing, as ``migrate`` itself would."""
    options = ("--schema", "looked at", "--database-url", database)
    version = '"looked at"._private_sqla_alembic_version'
    pending = run("migrate", "--check", *options)
    assert (pending.returncode, pending.stderr) == (3, "")
    assert pending.stdout == f"schema 'looked at' is to be created: nothing -> {HEAD}\n"
    assert fetch(database, "select from pg_namespace where nspname = 'looked at'") == []
    assert run("migrate", *options).returncode == 0
    done = run("migrate", "--check", *options)
    assert (done.returncode, done.stdout) == (0, "schema 'looked at': nothing to do\n")
    asyncio.run(execute(database, f"update {version} set version_num = '0001'"))
    old = run("migrate", "--check", *options)
    assert (old.returncode, old.stdout) == (3, f"schema 'looked at' is to be upgraded: 0001 -> {HEAD}\n")
    asyncio.run(execute(database, f"drop table {version}"))
    peers = run("migrate", "--check", *options)
    assert peers.returncode == 3
    assert "is to be adopted from Graphile Worker, whose revision is 19" in peers.stdout
    asyncio.run(execute(database, 'insert into "looked at".migrations (id, breaking) values (99, true)'))
    assert "upgrade gw_sqla" in error_line(run("migrate", "--check", *options), 57)
    assert "leave one of them out" in error_line(run_here("migrate", "--check", "--sql"), 2)
