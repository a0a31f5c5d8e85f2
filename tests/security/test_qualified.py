"""No SQL of gw_sqla's leaves to the search path what it calls: a lint of all of its texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gw_sqla
from tests.security.sql_texts import HOLDERS, texts

SYNTAX = """all and any array as by case cast check coalesce conflict distinct else end except exists extract filter
for from greatest grouping if in intersect join key lateral least not nullif on or order over row rows select set sets
some then union using values when where with"""
"""What a bracket may follow and that is no function: PostgreSQL's grammar knows it."""
TYPES = """bytea date float4 float8 int2 int4 int8 json jsonb record regclass regnamespace regproc regprocedure text
timestamptz uuid void xid"""
"""Types that are looked up like any other name; integer, boolean, interval and such are grammar's."""

NOT_SQL = re.compile(r"--[^\n]*|E?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\w*\$")
CALL = re.compile(r"(?<![\w.:$])(?<!\bas )([a-z_]\w*)\s*\(", re.IGNORECASE)
TYPE = re.compile(rf"(?<![\w.])(?:{'|'.join(TYPES.split())})\b", re.IGNORECASE)
COLUMN_OR_TYPE = re.compile(r"(?:::\s*|\bas\s+)(?:oid|name)\b(?=\s*[\[)])|\b\w+\s+(?:oid|name)\s*(?::=|;)")
TRIGGER = re.compile(r"\breturns\s+trigger\b")
CATALOG = re.compile(r"(?<![\w.])pg_(?!catalog\b|temp\b)\w+")
RESOLVED = re.compile(r"operator\(pg_catalog\.[^\w\s]+\)", re.IGNORECASE)


def leaks(sql: str) -> list[str]:
    """Return what the search path decides about in this SQL."""
    text = RESOLVED.sub("+", NOT_SQL.sub(lambda match: '"q"' if match[0][0] == '"' else " '' ", sql))
    calls = [name for name in CALL.findall(text) if name.lower() not in SYNTAX.split()]
    return [*calls, *(m[0] for pattern in (TYPE, COLUMN_OR_TYPE, TRIGGER, CATALOG) for m in pattern.finditer(text))]


@pytest.mark.parametrize("name", texts())
def test_nothing_is_left_to_the_search_path(name: str) -> None:
    assert leaks(texts()[name]) == []


def test_everything_is_read() -> None:
    read = set(texts())
    assert {"statement find_orphaned_jobs", "statement unlock_stale", "grants worker", "function add_jobs"} <= read
    assert {
        "function sqla_complete_job",
        "schema_create.sql",
        "0007_adding.sql",
        "gw_sqla.schema.state._CATALOG",
    } <= read
    assert len([name for name in read if name.startswith("function ")]) == 8


def test_no_other_module_has_sql() -> None:
    """Statements are made by `quoting.statement`, which is read by the snapshots; the rest is listed."""
    package = Path(str(gw_sqla.__file__)).parent
    holders = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"(?<![.\w`])(?:sa\.)?text\(\s*f?\"|exec_driver_sql\(|\btext\(template", path.read_text("utf-8"))
    }
    assert holders - HOLDERS == set()


@pytest.mark.parametrize(
    ("sql", "leaked"),
    [
        ("select now()", ["now"]),
        ("select exp (least(a, 1)), pg_catalog.exp(2)", ["exp"]),
        ("select cast(a as text), b::json, c::pg_catalog.json", ["text", "json"]),
        ("select from pg_class c where c.oid = 'x'::pg_catalog.regclass", ["pg_class"]),
        ("select cast($1 as name), $2::oid)", ["as name", "::oid"]),
        ("declare\n  a oid := 1;", ["a oid :="]),
        ("create function s.f() returns trigger language plpgsql", ["returns trigger"]),
        ("select timestamptz '2000-01-01'", ["timestamptz"]),
        ("select * from rows from (unnest($1)) as r (id)", ["unnest"]),
        ("select a operator(pg_catalog.->>) 'text now()' -- now()", []),
        ('select "now"(), "s".f(1), coalesce(a), x in (1), array(select 1) from t as r (id)', []),
    ],
)
def test_the_lint_finds(sql: str, leaked: list[str]) -> None:
    assert leaks(sql) == leaked
