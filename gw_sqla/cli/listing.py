"""Lists: a table for people, JSON or CSV for programs, of the same rows.

Tables are made here, of thirty lines. Rich makes better ones, for six packages and a tenth of a second at the start of
each command; tabulate cuts nothing to the width of a terminal, and lets control characters through, which in a name or
an error of somebody else's can rewrite what the terminal shows.

Times are those of the database, in UTC: an age would need the difference of two clocks. Programs get all columns,
people those that fit their question.

CSV holds the values as they are, in a pipe or a file; on a terminal what would act on it is escaped, as in tables.
A value that begins with ``=`` or ``+`` stays so: programs read it, and one that was marked for a spreadsheet would be
another value. Whoever opens such a file with one imports the columns as text.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from io import StringIO
from typing import Any, Generic, TypeVar

import click

from gw_sqla.cli.terminal_text import printable

__all__ = [
    "Column",
    "Format",
    "as_record",
    "format_options",
    "json_option",
    "print_json",
    "print_list",
    "utc_text",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_GAP = "  "
_LEAST_WIDTH = 12
"""To which the columns of a table are cut, at most."""


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def format_options(command: F) -> F:
    """Declare ``--json`` and ``--csv``; the command gets ``output``: the name of a Format, None for a table."""
    for name in (Format.CSV, Format.JSON):
        command = click.option(
            f"--{name}",
            "output",
            flag_value=name.value,
            default=None,  # which of two flags is the default, each version of click decides in another way
            help=f"Print {name.upper()}, for programs.",
        )(command)
    return command


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its ``name`` for programs, of which the head for people is made, and the value of a row.

    ``text``: what people see of a row in place of its value. ``color``: a colour's name, or None. ``cuts``: whether a
    narrow terminal may cut it. ``in_table``: whether people see it at all. ``right``: for numbers.
    """

    name: str
    value: Callable[[T], object]
    text: Callable[[T], str | None] | None = None
    color: Callable[[T], str | None] | None = None
    cuts: bool = False
    in_table: bool = True
    right: bool = False


def print_list(rows: Collection[T], columns: Sequence[Column[T]], output: str | None, *, nothing: str) -> None:
    """Print the rows; where there are none, people are told ``nothing``, on standard error."""
    match Format(output or Format.TABLE):
        case Format.JSON:
            print_json([as_record(row, columns) for row in rows])
        case Format.CSV:
            _print_csv(rows, columns)
        case Format.TABLE if rows:
            _print_table(rows, [column for column in columns if column.in_table])
        case Format.TABLE:
            click.echo(nothing, err=True)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def as_record(row: T, columns: Sequence[Column[T]]) -> dict[str, object]:
    """Return the row as an object of JSON."""
    return {column.name: _plain(column.value(row)) for column in columns}


def utc_text(time: datetime | None) -> str | None:
    """Return a time in UTC as people and programs read it, to the second."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _plain(value: object) -> object:
    """Return what JSON has for it."""
    match value:
        case None | bool() | int() | float() | dict() | list():
            return value
        case str():
            return str(value)  # of an enumeration, too
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case frozenset() | set():
            return sorted(_plain(each) for each in value)  # type: ignore[type-var]
        case tuple():
            return [_plain(each) for each in value]
    raise TypeError(f"no JSON of {type(value).__name__}")


def _print_csv(rows: Collection[T], columns: Sequence[Column[T]]) -> None:
    on_terminal = sys.stdout.isatty()

    def cell(value: object) -> object:
        if isinstance(value, bool | dict | list):
            return json.dumps(value)
        return printable(value) if on_terminal and isinstance(value, str) else value

    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows([cell(_plain(column.value(row))) for column in columns] for row in rows)
    click.echo(written.getvalue(), nl=False, color=True)  # else it leaves out what looks like a colour


def _print_table(rows: Collection[T], columns: Sequence[Column[T]]) -> None:
    heads = [column.name.replace("_", " ").upper() for column in columns]
    cells = [[_text(row, column) for column in columns] for row in rows]
    widths = [max(map(_width, column)) for column in zip(heads, *cells, strict=True)]
    if sys.stdout.isatty():
        _narrow(widths, columns, shutil.get_terminal_size().columns)
    click.echo(_line(heads, widths, columns, [None] * len(columns), bold=True))
    for row, texts in zip(rows, cells, strict=True):
        colors = [column.color(row) if column.color else None for column in columns]
        click.echo(_line(texts, widths, columns, colors))


def _text(row: T, column: Column[T]) -> str:
    if column.text is not None:
        text = column.text(row)
    else:
        value = _plain(column.value(row))
        if isinstance(value, list):
            text = ", ".join(map(str, value))
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        else:
            text = None if value is None else str(value)
    return printable(text) if text else "-"


def _line(
    texts: Sequence[str],
    widths: Sequence[int],
    columns: Sequence[Column[Any]],
    colors: Sequence[str | None],
    *,
    bold: bool = False,
) -> str:
    parts = []
    for text, width, column, color in zip(texts, widths, columns, colors, strict=True):
        shown = _cut(text, width)
        fill = " " * (width - _width(shown))
        styled = click.style(shown, fg=color, bold=bold or None) if color or bold else shown
        parts.append(fill + styled if column.right else styled + fill)
    return _GAP.join(parts).rstrip()


def _narrow(widths: list[int], columns: Sequence[Column[Any]], room: int) -> None:
    """Take from the widest of the columns that may be cut, until the table fits or they are at their least."""
    room -= len(_GAP) * (len(columns) - 1)
    while sum(widths) > room:
        may_be_cut = [at for at, column in enumerate(columns) if column.cuts and widths[at] > _LEAST_WIDTH]
        if not may_be_cut:
            return
        widest = max(may_be_cut, key=lambda at: widths[at])
        widths[widest] -= 1


def _width(text: str) -> int:
    """Return how many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return f"{text}…"
