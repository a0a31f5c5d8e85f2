"""What stands in a command's way: one line that says it, an honest exit code, no password, no hang."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import make_url

from gw_sqla.cli import engine as cli_engine
from gw_sqla.cli.error_report import UnreachableError, describe
from gw_sqla.errors import ReadTimeoutError
from tests.cli.command import APP, error_line, fetch, python, run
from tests.support.server import Server, execute


@pytest.mark.parametrize(
    ("backend", "url", "says"),
    [
        ("asyncio", "postgresql://u:secret@127.0.0.1:1/d", "at 127.0.0.1, port 1: Connection refused"),
        ("trio", "postgresql://u:secret@127.0.0.1:1/d", "at 127.0.0.1, port 1: Connection refused"),
        ("asyncio", "postgresql://u:secret@host.invalid/d", "at host.invalid: "),
        ("asyncio", "postgres://u:secret@/d?host=/nonexistent", "at /nonexistent: No such file or directory"),
        ("asyncio", "postgres://u@127.0.0.1:1,[::1]:2/d", "at 127.0.0.1,::1, port 1,2: "),
        (
            "asyncio",
            "postgres://u:secret@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/nowhere.crt",
            "at 127.0.0.1, port 1: No such file or directory (sslrootcert)",
        ),
    ],
)
def test_a_url_that_leads_nowhere(backend: str, url: str, says: str) -> None:
    line = error_line(run("worker", "--app", APP, "--backend", backend, env={"DATABASE_URL": url}), 1)
    assert f"Error: cannot connect to the database {says}" in line
    assert "secret" not in line


@pytest.mark.parametrize("command", [("worker", "--app", APP), ("add", "greet"), ("migrate",), ("downgrade", "--yes")])
def test_a_url_of_another_database(command: tuple[str, ...]) -> None:
    line = error_line(run(*command, env={"DATABASE_URL": "mysql://u:secret@h/d"}), 2)
    assert "begins with mysql://, and gw_sqla needs PostgreSQL" in line
    assert "secret" not in line


def test_a_database_and_a_role_that_do_not_exist(database: str) -> None:
    url = make_url(database)
    nowhere = url.set(database="nowhere").render_as_string(hide_password=False)
    line = error_line(run("migrate", "--database-url", nowhere), 1)
    assert line == 'Error: database: InvalidCatalogNameError: database "nowhere" does not exist (SQLSTATE 3D000)'
    nobody = url.set(username="nobody", password="secret").render_as_string(hide_password=False)
    line = error_line(run("add", "greet", "--database-url", nobody), 1)
    assert "nobody" in line
    assert "secret" not in line


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_engine, "_CONNECT_SECONDS", 0.2)

    async def ask(port: int) -> None:
        url = make_url(f"postgresql+asyncpg://u@127.0.0.1:{port}/d")
        async with cli_engine.connected(url) as engine, engine.connect():
            pass

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnreachableError, match=r"no answer within 0\.2 s"),
    ):
        asyncio.run(ask(silent.getsockname()[1]))


@pytest.mark.parametrize("command", [("worker", "--app", APP), ("add", "greet")])
def test_a_schema_that_is_missing(database: str, command: tuple[str, ...]) -> None:
    line = error_line(run(*command, "--schema", "not there", "--database-url", database), 1)
    assert "there is no Graphile Worker schema 'not there'" in line
    assert "run: python -m gw_sqla migrate --schema 'not there'" in line


@pytest.mark.parametrize("command", [("worker", "--app", APP), ("add", "greet"), ("migrate",)])
def test_a_schema_that_is_too_new(clean_database: str, command: tuple[str, ...]) -> None:
    fetch(clean_database, "insert into graphile_worker.migrations (id, breaking) values (99, true)")
    try:
        line = error_line(run(*command, "--database-url", clean_database), 57)
    finally:
        fetch(clean_database, "delete from graphile_worker.migrations where id = 99")
    assert "breaking migration 99" in line
    assert "upgrade gw_sqla" in line


def test_a_schema_that_is_behind_is_enough_to_add_jobs_but_not_to_run_them(database: str) -> None:
    assert run("migrate", "--schema", "behind", "--database-url", database).returncode == 0
    fetch(database, "drop table behind._private_sqla_alembic_version")
    options = ("--schema", "behind", "--database-url", database)
    line = error_line(run("worker", "--app", APP, *options), 1)
    assert "run: python -m gw_sqla migrate --schema behind" in line
    assert run("add", "greet", *options).returncode == 0
    assert len(fetch(database, "select from behind.jobs")) == 1


@pytest.fixture
def role(server: Server, database: str) -> Iterator[str]:
    """The URL of a role that has no rights."""
    server.execute("create role gw_sqla_cli_guest login password 'secret'")
    yield make_url(database).set(username="gw_sqla_cli_guest", password="secret").render_as_string(hide_password=False)
    asyncio.run(execute(database, "drop owned by gw_sqla_cli_guest"))
    server.execute("drop role gw_sqla_cli_guest")


def test_a_role_without_rights(clean_database: str, role: str) -> None:
    for command, kind in ((("worker", "--app", APP), "worker"), (("add", "greet"), "adder")):
        line = error_line(run(*command, "--database-url", role), 1)
        assert "'gw_sqla_cli_guest' may not use schema 'graphile_worker'" in line
        assert line.endswith(f"run: python -m gw_sqla grants gw_sqla_cli_guest --as {kind} --apply")
    assert "may not" in error_line(run("migrate", "--database-url", role, "--schema", "new"), 1)


def test_a_role_from_which_row_level_security_hides_the_jobs(clean_database: str, role: str) -> None:
    grants = (
        "grant usage on schema graphile_worker to gw_sqla_cli_guest; "
        "grant select, insert, update, delete on all tables in schema graphile_worker to gw_sqla_cli_guest"
    )
    asyncio.run(execute(clean_database, grants))
    for command in (("worker", "--app", APP), ("add", "greet")):
        line = error_line(run(*command, "--database-url", role), 1)
        assert "row level security hides the rows" in line
        assert "secret" not in line


def test_a_backend_that_is_not_installed(clean_database: str) -> None:
    script = "import sys; sys.modules['trio'] = None; from gw_sqla.cli.main import main; sys.exit(main())"
    done = python("-c", script, "worker", "--app", APP, "--backend", "trio", env={"DATABASE_URL": clean_database})
    assert "pip install 'gw-sqla[trio]'" in error_line(done, 2)


def test_debug_shows_the_traceback_without_the_password() -> None:
    done = run("worker", "--app", APP, "--debug", env={"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"})
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: cannot connect")
    assert "secret" not in done.stderr


def test_a_search_that_takes_too_long() -> None:
    """The option that gives it more; it was no bad input."""
    says = "the database had no answer within 10000 ms: give it more (--search-seconds), or ask for less"
    assert describe(ReadTimeoutError(timedelta(seconds=10))) == (says, 1)
