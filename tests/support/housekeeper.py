"""A connection kept in a test module's database, for what is done before and after each of its tests.

Two connections for each test, one to empty tables and one to look for what was left open, took 11 ms of a processor,
thousands of times in a run; a kept one takes 2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

NAME = "gw_sqla tests' housekeeper"
"""Its application_name, for tests that count connections."""

_OPEN_TRANSACTIONS = """select count(*) from pg_stat_activity
where datname = current_database() and state like 'idle in transaction%'"""
_FILLED = """select string_agg(wanted::regclass::text, ', ') from unnest(%s::text[]) as wanted
where pg_relation_size(wanted::regclass) > 0"""


class Housekeeper:
    """Connects when it is first asked, and anew where a test cut its connection."""

    def __init__(self, url: str) -> None:
        where = make_url(url)
        self._address = make_conninfo(
            host=str(where.query.get("host") or where.host or ""),
            port=where.port or "",
            user=where.username or "",
            password=where.password or "",
            dbname=where.database or "",
            application_name=NAME,
        )
        self._connection: psycopg.Connection | None = None

    def empty(self, *tables: str) -> None:
        """Truncate those of the tables that something was written to."""
        filled = self.execute(_FILLED, [list(tables)]).fetchall()[0][0]
        if filled:
            self.execute(f"truncate {filled}")

    def assert_no_open_transaction(self) -> None:
        """Fail if a connection keeps a transaction open for five seconds while it does nothing."""
        deadline = time.monotonic() + 5
        while self.execute(_OPEN_TRANSACTIONS).fetchall()[0][0]:
            assert time.monotonic() < deadline, "a transaction was left open"
            self.execute("select pg_sleep(0.01)")

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> psycopg.Cursor:
        """Run one statement, in a transaction of its own."""
        try:
            return self._connected().execute(sql.encode(), parameters)
        except psycopg.OperationalError:
            if self._connection is None or not self._connection.closed:
                raise
            return self._connected().execute(sql.encode(), parameters)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._address, autocommit=True)
        return self._connection
