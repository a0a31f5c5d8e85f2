"""Lists for people and for programs; what a terminal changes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gw_sqla.cli.listing import Column, print_list
from gw_sqla.cli.terminal_text import printable
from gw_sqla.types import JobState
from tests.cli.on_terminal import on_terminal


@dataclass
class Row:
    name: str
    value: object = None


COLUMNS: list[Column[Row]] = [
    Column("name", lambda row: row.name, cuts=True),
    Column("the_value", lambda row: row.value, right=True),
    Column("length", lambda row: len(row.name), in_table=False),
]


def printed(capsys: pytest.CaptureFixture[str], *rows: Row, output: str = "table") -> str:
    print_list(rows, COLUMNS, output, nothing="no rows")
    return capsys.readouterr().out


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers to the right; wide characters take two cells, and nothing is cut for a program."""
    assert printed(capsys, Row("a" * 200, 1), Row("寿司", 22), Row("e\u0301")).splitlines() == [
        "NAME" + " " * 198 + "THE VALUE",
        "a" * 200 + "          1",
        "寿司" + " " * 205 + "22",
        "e\u0301" + " " * 209 + "-",
    ]


def test_what_would_act_on_a_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, Row("a\x1b[2Jb\nc\u202ed")).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(r"a\x1b[2Jb\nc\u202ed")
    assert printable("plain ü") == "plain ü"


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """People are told so, programs get an empty list."""
    print_list([], COLUMNS, "table", nothing="no rows")
    assert capsys.readouterr() == ("", "no rows\n")
    assert printed(capsys, output="json") == "[]\n"
    assert printed(capsys, output="csv") == "name,the_value,length\n"


VALUES = [
    (None, None, ""),
    (True, True, "true"),
    (JobState.FAILED, "failed", "failed"),
    (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000006Z", None),
    (timedelta(minutes=1), 60.0, "60.0"),
    (frozenset({"b", "a"}), ["a", "b"], '["a", "b"]'),
    ((1, datetime(2026, 1, 1, tzinfo=UTC)), [1, "2026-01-01T00:00:00Z"], '[1, "2026-01-01T00:00:00Z"]'),
    ({"a": 1}, {"a": 1}, '{"a": 1}'),
]


@pytest.mark.parametrize(("value", "in_json", "in_csv"), VALUES)
def test_values(capsys: pytest.CaptureFixture[str], value: object, in_json: object, in_csv: str | None) -> None:
    row = Row('a "b",\nc', value)
    assert json.loads(printed(capsys, row, output="json")) == [{"name": row.name, "the_value": in_json, "length": 8}]
    head, cells = csv.reader(io.StringIO(printed(capsys, row, output="csv")))
    assert head == ["name", "the_value", "length"]
    assert cells == [row.name, in_json if in_csv is None else in_csv, "8"]


SHOW = """
import os, sys
from gw_sqla.cli import commands, listing
import click
@click.command()
@click.pass_context
def show(ctx):
    columns = [
        listing.Column("id", lambda row: row, color=lambda row: "red" if row > 1 else None),
        listing.Column("text", lambda row: "word " * 30, cuts=True),
    ]
    listing.print_list([1, 2], columns, "table", nothing="")
commands._Commands.get_command = lambda *_: show
commands.group(["worker"])
"""


def test_a_terminal_has_colours_and_an_edge() -> None:
    code, shown = on_terminal("-c", SHOW, columns=30)
    head, first, second = shown.splitlines()
    assert (code, first) == (0, "1   " + "word " * 5 + "…")
    assert second == "\x1b[31m2\x1b[0m   " + "word " * 5 + "…"
    assert head == "\x1b[1mID\x1b[0m  \x1b[1mTEXT\x1b[0m"


def test_no_color() -> None:
    _, shown = on_terminal("-c", SHOW, columns=30, env={"NO_COLOR": "1"})
    assert "\x1b" not in shown
    assert "\x1b" in on_terminal("-c", SHOW, columns=30, env={"NO_COLOR": ""})[1]


ASK = """
import sys
from gw_sqla.cli.error_report import report
from gw_sqla.cli.terminal import confirm
try:
    confirm("Remove 3 jobs?", yes="--yes" in sys.argv)
    print("done")
except BaseException as error:
    sys.exit(report(error, debug=False))
"""


@pytest.mark.parametrize(("types", "code", "says"), [("y\n", 0, "done"), ("\n", 130, "declined: nothing was done")])
def test_a_question(types: str, code: int, says: str) -> None:
    ended, shown = on_terminal("-c", ASK, types=types)
    assert ended == code
    assert "Remove 3 jobs? [y/N]:" in shown
    assert shown.endswith(f"{says}\n")
    ended, shown = on_terminal("-c", ASK, "--yes")
    assert (ended, shown) == (0, "done\n")
