"""Any text is quoted as a schema's name, and reads back as the same name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from gw_sqla.statements.quoting import quoted, statement


def read_identifier(sql: str) -> tuple[str, str]:
    """Read one quoted identifier as PostgreSQL's lexer does; return it and the rest."""
    assert sql[0] == '"'
    name, position = "", 1
    while sql[position : position + 2] == '""' or sql[position] != '"':
        doubled = sql[position : position + 2] == '""'
        name += sql[position]
        position += 2 if doubled else 1
    return name, sql[position + 1 :]


@given(st.text(min_size=1))
def test_quoted(name: str) -> None:
    assert read_identifier(quoted(name)) == (name, "")


@given(st.text(alphabet='a":%\\_ ;-', min_size=1))
def test_in_a_statement(name: str) -> None:
    dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]
    compiled = str(statement("select __schema__.f(1)", name).compile(dialect=dialect))
    assert read_identifier(compiled.removeprefix("select ")) == (name, ".f(1)")
