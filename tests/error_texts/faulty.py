"""What drivers and SQLAlchemy raise about a value, each as a real server or the library itself does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import psycopg2
from sqlalchemy import Connection, Engine, Enum, bindparam, create_engine, make_url, select, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

MARK = "zq" + "xMARKxqz"
NUMBER = 86753098675309

SCHEMA = """
create type mood as enum ('sad', 'happy');
create domain short as text check (length(value) < 2);
create table parents (email text primary key);
create table people (
  email text not null constraint people_email_key unique,
  n int constraint people_n_check check (n > 0),
  mood mood,
  at date,
  parent text references parents,
  other text constraint people_other_excl unique,
  exclude using hash (email with =)
);
insert into people (email, n) values ('known', 1);
create function refuse(value text, state text) returns void language plpgsql as $$ begin
  raise exception '%', value using errcode = state, detail = value, hint = value;
end $$;
create function hide(value text) returns void language plpgsql as $$ begin
  execute 'select ' || value;
end $$;
create function fail_in(value text) returns int language plpgsql as $$ begin
  return value::int;
end $$;
create table watched (email text);
create function refuse_row() returns trigger language plpgsql as $$ begin
  raise 'no % here', new.email using errcode = '42501', table = tg_table_name;
end $$;
create trigger refuse before insert on watched for each row execute function refuse_row();
"""

STATEMENTS = {
    "unique": "insert into people (email) select cast(%s as text) from generate_series(1, 2)",
    "check": "insert into people (email, n) values (cast(%s as text), -1)",
    "not null": "insert into people (parent, email) values (cast(%s as text), null)",
    "foreign key": "insert into people (email, parent) values ('x', cast(%s as text))",
    "integer": "select cast(cast(%s as text) as integer)",
    "out of range": f"select length(cast(%s as text)) + cast('{NUMBER}' as integer)",
    "json": "select cast('{\"a\": ' || cast(%s as text) as json)",
    "jsonb": "select cast(cast(%s as text) as jsonb)",
    "enum": "select cast(cast(%s as text) as mood)",
    "date": "select cast(cast(%s as text) as date)",
    "uuid": "select cast(cast(%s as text) as uuid)",
    "interval": "select cast(cast(%s as text) as interval)",
    "array": "select cast('{' || cast(%s as text) as int[])",
    "domain": "select cast(cast(%s as text) as short)",
    "exclusion": "insert into people (email) select cast(%s as text) from generate_series(1, 2) on conflict do nothing "
    "returning cast(email as integer)",
    "raise": "select refuse(cast(%s as text), '42501')",
    "raise, a table is missing": "select refuse(cast(%s as text), '42P01')",
    "raise, any": "select refuse(cast(%s as text), 'ZZ123')",
    "raise, connection": "select refuse(cast(%s as text), '08006')",
    "raise, administrator": "select refuse(cast(%s as text), '57014')",
    "dynamic": "select hide(cast(%s as text))",
    "in a function": "select fail_in(cast(%s as text))",
    "trigger": "insert into watched values (cast(%s as text))",
    "regular expression": "select '' ~ ('(' || cast(%s as text))",
    "timezone": "select now() at time zone cast(%s as text)",
    "setting": "select set_config('work_mem', cast(%s as text), false)",
    "role": "select pg_has_role(cast(%s as text), 'member')",
    "table": "select cast('\"' || cast(%s as text) as regclass)",
}


class Base(DeclarativeBase):
    """Of the tests."""


class Person(Base):
    """What has a value for its key."""

    __tablename__ = "people"
    email: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int | None]


@dataclass
class Drivers:
    """Connections of every kind, each outside a transaction of its own."""

    raw_psycopg: psycopg.Connection[Any]
    raw_psycopg2: Any
    raw_asyncpg: asyncpg.Connection
    psycopg: Engine
    psycopg2: Engine
    asyncpg: AsyncEngine
    runner: asyncio.Runner

    def run(self, driver: str, kind: str, value: str) -> None:
        """Have the driver raise an error of this kind about this value."""
        statement = STATEMENTS[kind]
        match driver:
            case "psycopg":
                self.raw_psycopg.execute(statement.encode(), (value,))
            case "psycopg2":
                with self.raw_psycopg2.cursor() as cursor:
                    cursor.execute(statement, (value,))
            case "asyncpg":
                self.runner.run(_fetch(self.raw_asyncpg, statement.replace("%s", "$1"), value))
            case "sqlalchemy+asyncpg":
                self.runner.run(_with_engine(self.asyncpg, statement, value))
            case _:
                engine = self.psycopg if driver == "sqlalchemy+psycopg" else self.psycopg2
                with engine.connect() as connection:
                    _execute(connection, statement, value)

    def run_client(self, kind: str, value: str) -> None:
        """Have a library raise about the value by itself, or about a statement that has it in its text."""
        CLIENT[kind](self, value)


DRIVERS = ["psycopg", "psycopg2", "asyncpg", "sqlalchemy+psycopg", "sqlalchemy+psycopg2", "sqlalchemy+asyncpg"]


@contextmanager
def drivers(url: str) -> Iterator[Drivers]:
    """Connect with every driver."""
    sync_url = make_url(url).set(drivername="postgresql")
    plain = sync_url.render_as_string(hide_password=False)
    of_psycopg, of_psycopg2 = (
        create_engine(sync_url.set(drivername=f"postgresql+{name}")) for name in ("psycopg", "psycopg2")
    )
    with asyncio.Runner() as runner:
        raw = psycopg.connect(plain, autocommit=True), psycopg2.connect(plain), runner.run(_connect(plain))
        raw[1].autocommit = True
        asyncpg_engine = create_async_engine(url)
        try:
            yield Drivers(*raw, of_psycopg, of_psycopg2, asyncpg_engine, runner)
        finally:
            of_psycopg.dispose()
            of_psycopg2.dispose()
            runner.run(asyncpg_engine.dispose())
            runner.run(raw[2].close())
            raw[0].close()
            raw[1].close()


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn)


async def _fetch(connection: asyncpg.Connection, statement: str, *values: Any) -> None:
    await connection.fetch(statement, *values)


async def _with_engine(engine: AsyncEngine, statement: str, value: Any) -> None:
    async with engine.connect() as connection:
        await connection.run_sync(_execute, statement, value)


def _execute(connection: Connection, statement: str, value: Any) -> None:
    connection.execute(text(statement.replace(":", r"\:").replace("%s", ":value")), {"value": value})


def _wrong_argument(with_all: Drivers, value: str) -> None:
    with_all.runner.run(_fetch(with_all.raw_asyncpg, "select cast($1 as integer)", value))


def _no_address(with_all: Drivers, value: str) -> None:
    """The driver asks the standard library, whose error names the value."""
    with_all.runner.run(_fetch(with_all.raw_asyncpg, "select cast($1 as inet)", value))


def _wrong_argument_of_engine(with_all: Drivers, value: str) -> None:
    with_all.runner.run(_with_engine(with_all.asyncpg, "select cast(%s as integer)", value))


def _literal(with_all: Drivers, value: str) -> None:
    literal = value.replace("'", "''").replace("%", "%%").replace(":", r"\:").replace("\\", "")
    with with_all.psycopg.connect() as connection:
        connection.execute(text(f"select cast('{literal}' as integer)"))


def _not_of_enum(with_all: Drivers, value: str) -> None:
    with with_all.psycopg.connect() as connection:
        connection.execute(select(bindparam("x", value, Enum("a", "b", name="x", validate_strings=True))))


def _read_as_enum(with_all: Drivers, value: str) -> None:
    with with_all.psycopg.connect() as connection:
        connection.execute(text("select cast(:v as text) as v").columns(v=Enum("a", "b", name="x")), {"v": value}).all()


def _not_a_uuid(with_all: Drivers, value: str) -> None:
    with with_all.psycopg.connect() as connection:
        connection.execute(select(bindparam("x", value, UUID(as_uuid=True))))


def _unadaptable(with_all: Drivers, value: str) -> None:
    class Odd:
        def __repr__(self) -> str:
            return value

    with with_all.psycopg2.connect() as connection:
        connection.execute(text("select :x"), {"x": Odd()})


def _same_identity(with_all: Drivers, value: str) -> None:
    with Session(with_all.psycopg) as session:
        session.add(first := Person(email=value, n=1))
        session.flush()
        session.expunge(first)
        session.add(Person(email=value, n=2))
        session.add(first)
        session.flush()


def _pending_rollback(with_all: Drivers, value: str) -> None:
    with Session(with_all.psycopg) as session:
        session.add(Person(email=value, n=-1))
        with suppress(SQLAlchemyError):
            session.flush()
        session.connection()


def _not_an_expression(with_all: Drivers, value: str) -> None:
    select(Person).where(value)  # type: ignore[arg-type]


CLIENT: dict[str, Callable[[Drivers, str], None]] = {
    "wrong argument": _wrong_argument,
    "no address": _no_address,
    "wrong argument of an engine": _wrong_argument_of_engine,
    "literal": _literal,
    "not of an enum": _not_of_enum,
    "read as an enum": _read_as_enum,
    "not a uuid": _not_a_uuid,
    "unadaptable": _unadaptable,
    "same identity": _same_identity,
    "pending rollback": _pending_rollback,
    "not an expression": _not_an_expression,
}
