"""``grants`` and ``doctor``: SQL without a database, rights given, what is missing or beyond."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from gw_sqla.schema.grants import grants
from tests.cli.command import APP, error_line, fetch, run, run_here
from tests.support.server import Server, execute

ROLE = f"gw_sqla_cli_granted_{os.getpid()}"


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[str]:
    """The URL of a role that has no rights."""
    server.execute(f"create role {ROLE} login password 'secret'")
    yield make_url(clean_database).set(username=ROLE, password="secret").render_as_string(hide_password=False)
    asyncio.run(execute(clean_database, f"drop owned by {ROLE}"))
    server.execute(f"drop role {ROLE}")


def test_sql_is_printed_without_a_database(clean_database: str, role: str) -> None:
    printed = run_here("grants", ROLE, "--as", "adder").stdout
    assert printed == "\n".join(["begin;", *grants(ROLE, as_="adder"), "commit;", ""])
    asyncio.run(execute(clean_database, printed))
    assert run("add", "greet", env={"DATABASE_URL": role}).returncode == 0


def test_they_are_given_and_looked_at(clean_database: str, role: str) -> None:
    as_worker = ("doctor", "--as", "worker")
    lacking = run(*as_worker, "--database-url", role)
    assert lacking.returncode == 1
    assert "missing: DELETE on _private_jobs\n" in lacking.stdout
    assert "missing: a policy on _private_jobs\n" in lacking.stdout
    remedy = f"as owner: python -m gw_sqla grants {ROLE} --as worker --schema graphile_worker --apply\n"
    assert lacking.stderr == remedy

    env = {"DATABASE_URL": clean_database}
    given = run("grants", ROLE, "--as", "worker", "--apply", env=env)
    assert (given.returncode, given.stderr) == (0, "")
    enough = f"role '{ROLE}' has what it needs as worker in schema 'graphile_worker'\n"
    assert given.stdout == enough
    for done in (run(*as_worker, "--database-url", role), run(*as_worker, "--role", ROLE, env=env)):
        assert (done.returncode, done.stdout, done.stderr) == (0, enough, "")

    asyncio.run(execute(clean_database, f"grant truncate on graphile_worker._private_jobs to {ROLE}"))
    done = run(*as_worker, "--database-url", role)
    assert (done.returncode, done.stdout) == (0, f"beyond: TRUNCATE on _private_jobs\n{enough}")


def test_a_trigger_that_may_fail_on_a_workers_path(clean_database: str, role: str) -> None:
    """Named for a worker, and for nobody else; what is missing is not changed by it."""
    env = {"DATABASE_URL": clean_database}
    assert run("grants", ROLE, "--as", "worker", "--apply", env=env).returncode == 0
    asyncio.run(
        execute(
            clean_database,
            "create function note() returns trigger language plpgsql as $$ begin return null; end $$; "
            "create trigger audit after delete on graphile_worker._private_jobs for each row execute function note()",
        )
    )
    try:
        done = run("doctor", "--as", "worker", "--database-url", role)
        trigger, enough = done.stdout.splitlines()
        assert trigger == (
            "trigger: audit on _private_jobs, which calls note() with no search_path of its own: it must name what is "
            "yours with its schema"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert enough == f"role '{ROLE}' has what it needs as worker in schema 'graphile_worker'"
        assert "trigger:" not in run("doctor", "--as", "adder", "--role", ROLE, env=env).stdout
    finally:
        asyncio.run(execute(clean_database, "drop function note() cascade"))


def test_a_role_that_only_reads(clean_database: str, role: str) -> None:
    assert run("grants", ROLE, "--as", "reader", "--apply", env={"DATABASE_URL": clean_database}).returncode == 0
    fetch(clean_database, "insert into graphile_worker._private_known_crontabs values ('an item', now())")
    done = run("crontab", "known", env={"DATABASE_URL": role})
    assert (done.returncode, done.stderr) == (0, "")
    assert "an item" in done.stdout
    line = error_line(run("add", "greet", env={"DATABASE_URL": role}), 1)
    assert line.endswith(f"run: python -m gw_sqla grants {ROLE} --as adder --apply")


def test_a_worker(clean_database: str, role: str) -> None:
    assert run("grants", ROLE, "--as", "worker", "--apply", env={"DATABASE_URL": clean_database}).returncode == 0
    env = {"DATABASE_URL": role}
    assert run("add", "greet", "--payload", '{"name": "Ada"}', "--queue-name", "q", env=env).returncode == 0
    done = run("worker", "--app", APP, "--once", env=env)
    assert done.returncode == 0
    assert "WARNING" not in done.stderr
    assert "ERROR" not in done.stderr
    assert fetch(clean_database, "select from graphile_worker.jobs") == []


def test_who_may_see_whether_there_is_something_to_migrate(clean_database: str, role: str) -> None:
    """Whoever may read the version, also one that could not migrate."""
    line = error_line(run("migrate", "--check", env={"DATABASE_URL": role}), 1)
    assert "may not use schema 'graphile_worker'" in line
    assert run("grants", ROLE, "--as", "worker", "--apply", env={"DATABASE_URL": clean_database}).returncode == 0
    done = run("migrate", "--check", env={"DATABASE_URL": role})
    assert (done.returncode, done.stdout) == (0, "schema 'graphile_worker': nothing to do\n"), done.stderr


def test_what_stands_in_the_way(clean_database: str, role: str) -> None:
    line = error_line(run("grants", ROLE, "--as", "worker", "--apply", "--database-url", role), 1)
    assert "this role may not grant that" in line
    assert "give --database-url, or set DATABASE_URL" in error_line(run("grants", ROLE, "--as", "adder", "--apply"), 2)
    assert "'king' is not one of" in error_line(run_here("grants", ROLE, "--as", "king"), 2)
    assert "'public' is not a role" in error_line(run_here("grants", "public", "--as", "adder"), 2)
    assert "--database-url" in error_line(run_here("doctor"), 2)
