"""The schema's name on its way into a statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla.statements.quoting import TEXT, quoted, statement
from tests.statements.snapshot import DIALECT

NAMES = st.text(st.sampled_from("ab_1:\\\"%$.;'é @#{}[]()\n") | st.characters(exclude_characters="\0", codec="utf-8"))
TAKEN = "%("  # SQLAlchemy takes it for a parameter, so such a name is refused


@given(NAMES.filter(lambda name: name and TAKEN not in name))
def test_every_name_comes_through(schema: str) -> None:
    clause = statement("select __schema__.f(:x), __schema__.g(:x)", schema, x=TEXT)
    name = quoted(schema)
    result = clause.compile(dialect=DIALECT)
    assert str(result) == f"select {name}.f($1::pg_catalog.text), {name}.g($1::pg_catalog.text)"
    assert result.positiontup == ["x"]


@pytest.mark.parametrize(("schema", "expected"), [("a", '"a"'), ('a"b', '"a""b"'), ('""', '""""""')])
def test_quoted(schema: str, expected: str) -> None:
    assert quoted(schema) == expected
