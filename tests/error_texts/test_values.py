"""No value of a row and no argument is in what is told of an error, whoever raises it, wherever it is in a chain."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gw_sqla.error_texts.error_text import error_text, message_text, traceback_text
from tests.error_texts.faulty import CLIENT, DRIVERS, MARK, NUMBER, SCHEMA, STATEMENTS, Drivers, drivers
from tests.support.server import Server

WAYS = 200


@pytest.fixture(scope="module")
def with_all(server: Server) -> Iterator[Drivers]:
    """A database with the tables, and a connection of each driver."""
    url = server.create_database()
    with drivers(url) as with_all:
        with_all.raw_psycopg.execute(SCHEMA.encode())
        yield with_all
    server.drop_database(url)


def alone(error: BaseException) -> None:
    raise error


def from_it(error: BaseException) -> None:
    raise RuntimeError("could not be saved") from error


def quoting(error: BaseException) -> None:
    raise RuntimeError(f"could not be saved: {error}") from error


def quoting_beginning(error: BaseException) -> None:
    raise RuntimeError(f"could not be saved: {str(error).splitlines()[0]}") from None


def quoting_as_repr(error: BaseException) -> None:
    raise RuntimeError(f"could not be saved: {error!r}, {str(error)!r}") from None


def quoting_last(error: BaseException) -> None:
    lines = traceback.format_exception_only(error)
    raise RuntimeError("could not be saved: " + "".join(lines)) from error


def as_argument(error: BaseException) -> None:
    raise RuntimeError("could not be saved", error)


def of_own_class(error: BaseException) -> None:
    class NotSavedError(Exception):
        def __init__(self, cause: BaseException) -> None:
            self.cause = cause
            super().__init__(cause)

        def __str__(self) -> str:
            return f"not saved, as {self.cause}"

    raise NotSavedError(error)


def with_note(error: BaseException) -> None:
    error.add_note(str(error))
    raise error


def in_group(error: BaseException) -> None:
    raise BaseExceptionGroup(f"some: {error}", [ValueError("another"), BaseExceptionGroup("in it", [error])])


def twice(error: BaseException) -> None:
    try:
        raise RuntimeError(f"first {error}") from error
    except RuntimeError as first:
        raise LookupError(f"second, after {first}") from first


RAISED: list[Callable[[BaseException], None]] = [
    alone,
    from_it,
    quoting,
    quoting_beginning,
    quoting_as_repr,
    quoting_last,
    as_argument,
    of_own_class,
    with_note,
    in_group,
    twice,
]


class NothingRaised(Exception):  # noqa: N818
    """The value is a good one: ``(zqxMARKxqz)`` is a regular expression in brackets."""


values = st.builds(
    lambda before, after: f"{before}{MARK}{after}",
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
)


def raised(cause: Callable[[], Any], again: Callable[[BaseException], None]) -> BaseException:
    """Return what is raised at last."""
    try:
        try:
            cause()
        except Exception as error:
            again(error)
    except BaseException as last:
        return last
    raise NothingRaised


def assert_nothing_shown(error: BaseException) -> None:
    for told in (error_text(error), message_text(error), traceback_text(error)):
        assert MARK not in told
        assert str(NUMBER) not in told


few = settings(max_examples=WAYS, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(
    value=values, kind=st.sampled_from(list(STATEMENTS)), driver=st.sampled_from(DRIVERS), again=st.sampled_from(RAISED)
)
def test_of_the_server(
    with_all: Drivers, value: str, kind: str, driver: str, again: Callable[[BaseException], None]
) -> None:
    with suppress(NothingRaised):
        assert_nothing_shown(raised(lambda: with_all.run(driver, kind, value), again))


@few
@given(value=values, kind=st.sampled_from(list(CLIENT)), again=st.sampled_from(RAISED))
def test_of_the_libraries_themselves(
    with_all: Drivers, value: str, kind: str, again: Callable[[BaseException], None]
) -> None:
    with suppress(NothingRaised):
        assert_nothing_shown(raised(lambda: with_all.run_client(kind, value), again))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", STATEMENTS)
def test_each_kind_of_each_driver(with_all: Drivers, kind: str, driver: str) -> None:
    for again in RAISED:
        assert_nothing_shown(raised(lambda: with_all.run(driver, kind, MARK), again))


@pytest.mark.parametrize("kind", CLIENT)
def test_each_kind_of_the_libraries(with_all: Drivers, kind: str) -> None:
    for again in RAISED:
        assert_nothing_shown(raised(lambda: with_all.run_client(kind, MARK), again))


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_told_instead(with_all: Drivers, driver: str) -> None:
    """The class, the SQLSTATE, names; of a function the line that raised it."""

    def told(kind: str) -> str:
        return error_text(raised(lambda: with_all.run(driver, kind, MARK), alone))

    assert told("unique").endswith("SQLSTATE 23505, schema public, table people, constraint people_email_key")
    assert "UniqueViolation" in told("unique")
    assert told("check").endswith("SQLSTATE 23514, schema public, table people, constraint people_n_check")
    assert told("not null").endswith("SQLSTATE 23502, schema public, table people, column email")
    assert told("domain").endswith("SQLSTATE 23514, schema public, type short, constraint short_check")
    assert told("trigger").endswith("SQLSTATE 42501, table watched, function refuse_row line 2")
    assert told("integer").endswith(": SQLSTATE 22P02")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("select * from nowhere", 'relation "nowhere" does not exist (SQLSTATE 42P01)'),
        ("select nothing(1)", "function nothing(integer) does not exist (SQLSTATE 42883)"),
        ("set role guest; select * from people", "permission denied for table people (SQLSTATE 42501)"),
        ("set statement_timeout = 1; select pg_sleep(9)", "canceling statement due to statement timeout"),
        ("begin read only; delete from people", "cannot execute DELETE in a read-only"),
    ],
)
def test_messages_that_hold_names_only_are_told(with_all: Drivers, statement: str, says: str) -> None:
    with_all.raw_psycopg.execute("do $$ begin create role guest; exception when duplicate_object then end $$")
    try:
        error = raised(lambda: with_all.raw_psycopg.execute(statement.encode()), alone)
    finally:
        with_all.raw_psycopg.execute("rollback")
        with_all.raw_psycopg.execute("reset all")
        with_all.raw_psycopg.execute("reset role")
    assert says in error_text(error)


def test_a_text_that_quotes_the_server_without_a_chain() -> None:
    """As far as it can be told by what the server's texts look like."""
    text = f'failed: invalid input syntax for type integer: "{MARK}"\nDETAIL:  Key (email)=({MARK}) already exists.'
    assert error_text(ValueError(text)) == "ValueError: failed: invalid input syntax for type integer"
    assert error_text(ValueError(f"(x.Error) no [SQL: x]\n[parameters: ({MARK},)]")) == "ValueError: (x.Error) no"


def refusals(with_all: Drivers, count: int) -> list[BaseException]:
    def refuse(number: int) -> BaseException:
        return raised(lambda: with_all.run("psycopg", "raise, any", f"{MARK} {number}"), alone)

    return [refuse(number) for number in range(count)]


@pytest.mark.parametrize("count", [10, 300])
def test_a_group_whose_message_quotes_them_all(with_all: Drivers, count: int) -> None:
    errors = refusals(with_all, count)
    message = f"{count} failed: " + ", ".join(str(error).splitlines()[0] for error in errors)
    group = BaseExceptionGroup(message, errors)
    assert_nothing_shown(group)
    assert f"{count} failed" in error_text(group) or count > 100


@pytest.mark.parametrize("count", [10, 300])
def test_a_chain_whose_message_quotes_its_first(with_all: Drivers, count: int) -> None:
    error = refusals(with_all, 1)[0]
    for number in range(count):
        outer = RuntimeError(f"{number}, after {str(error).splitlines()[0]}")
        outer.__cause__ = error
        error = outer
    assert_nothing_shown(error)


def test_arguments_that_hold_errors(with_all: Drivers) -> None:
    (error,) = refusals(with_all, 1)
    for held in ([error], (error, 1), {"first": error}, {error}, [{"first": [error]}]):
        assert_nothing_shown(RuntimeError("not saved", held))
        assert "not saved" in error_text(RuntimeError("not saved", held))
