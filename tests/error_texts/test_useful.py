"""What is hidden is hidden, and no more: an application's own message stays readable, a library's says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import psycopg
import psycopg2
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from gw_sqla.error_texts.error_text import error_text, traceback_text
from tests.support.server import Server

PASSWORD = "hunter2"


def raised(server: Server, statement: str, says: Callable[[BaseException], str]) -> BaseException:
    """Return an application's error about a statement that the server refuses."""
    engine = create_engine(make_url(server.url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            try:
                connection.execute(text(statement))
            except DBAPIError as error:
                raise ValueError(says(error)) from error
    except ValueError as error:
        return error
    finally:
        engine.dispose()
    raise AssertionError("nothing was raised")


def test_what_a_message_has_in_common_with_the_error_by_chance_stays(server: Server) -> None:
    """Parameters of a statement that has none, and a message of one letter."""
    own = "value None: call total() with {} or [], and save a basket"
    for statement in ("select 1 / 0", "do $$ begin raise exception 'as'; end $$"):
        assert error_text(raised(server, statement, lambda _: own)) == f"ValueError: {own}"


@pytest.mark.parametrize("value", ["7", "4711", "x y"])
def test_a_short_value_that_is_quoted_is_hidden(server: Server, value: str) -> None:
    def says(error: BaseException) -> str:
        assert isinstance(error, DBAPIError)
        return f"not saved ({str(error.orig).splitlines()[0]})"

    statement = f"do $$ begin raise exception '{value}'; end $$"
    assert error_text(raised(server, statement, says)).startswith("ValueError: not saved (SQLSTATE P0001")


def failing(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{PASSWORD}/database",
        f"postgresql://user:{PASSWORD}",
        f"postgresql://user:{PASSWORD}/more@nowhere.invalid/database",
        f"postgresql://user:more@{PASSWORD}@nowhere.invalid/database",
        f"postgresql://user:more@'\"{PASSWORD}'\"@nowhere.invalid/database",
        f"postgresql://user:more?{PASSWORD}@nowhere.invalid/database",
        f"postgresql://user:%zz{PASSWORD}@nowhere.invalid/database",
        f"postgresql:/user:{PASSWORD}@nowhere.invalid/database",
    ],
)
def test_a_url_that_a_driver_takes_apart_in_the_wrong_place(url: str) -> None:
    """A part of the password is what it takes for a host or a port then."""
    connects: list[Callable[[], object]] = [
        lambda: psycopg.connect(url, connect_timeout=2),
        lambda: psycopg2.connect(url, connect_timeout=2),
        lambda: asyncio.run(asyncpg.connect(url, timeout=2)),
    ]
    for connect in connects:
        error = failing(connect)
        shown = [line for line in traceback_text(error).splitlines() if not line.startswith("    ")]  # not our source
        assert PASSWORD not in error_text(error)
        assert PASSWORD not in "".join(shown)


def test_a_number_for_a_password() -> None:
    assert "123456" not in error_text(failing(lambda: psycopg2.connect("postgresql://user:123456/database")))


def test_what_a_connection_lacks_is_told(server: Server, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    url = "postgresql://user@localhost/database?sslmode={}"
    told = error_text(failing(lambda: asyncio.run(asyncpg.connect(url.format("verify-full")))))
    assert told.startswith(
        f'ClientConfigurationError: root certificate file "{tmp_path}/.postgresql/root.crt" does not'
    )
    told = error_text(failing(lambda: asyncio.run(asyncpg.connect(url.format("full")))))
    assert told == (
        "ClientConfigurationError: `sslmode` parameter must be one of: disable, allow, prefer, require, verify-ca, "
        "verify-full"
    )
    with psycopg.connect(f"user=postgres host={server.url.query['host']} port={server.url.port or 5432}") as connection:
        told = error_text(failing(lambda: connection.execute("select %s", ("a", "b"))))
        assert told == "ProgrammingError: the query has ..."
        assert error_text(failing(connection.execute("set search_path = ''").fetchone)) == (
            "ProgrammingError: the last operation didn't produce records ..."
        )
