"""Arrays as text in PostgreSQL's form, to and from the driver.

asyncpg looks an array's type up in the catalogs, anew over each connection: a recursive query of six to nine
milliseconds, more than a worker's first statements take together, at each start, after each outage and at each sweep.
As text an array costs the same as in binary form. The cast stands in a subquery of its own, which is
run once, where a condition on rows would read the text for each row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

__all__ = ["ids_of", "with_arrays_as_text"]

_ARRAY = re.compile(r"\$(\d+)::([\w. ]+\[\])")


def with_arrays_as_text(sql: str) -> tuple[str, dict[int, Callable[[Sequence[Any]], str]]]:
    """Return the SQL with each array parameter taken as text, and what writes those texts, by place from 0 on.

    ``sql`` is SQLAlchemy's for asyncpg: ``$1::BIGINT[]``.
    """
    writers: dict[int, Callable[[Sequence[Any]], str]] = {
        int(place) - 1: _literal if name.lower() in _PLAIN else _quoted_literal for place, name in _ARRAY.findall(sql)
    }
    return _ARRAY.sub(r"(select ($\1::pg_catalog.text)::\2)::\2", sql), writers


_PLAIN = frozenset({"bigint[]", "integer[]", "smallint[]", "boolean[]", "double precision[]"})
"""Types of elements that Python writes as PostgreSQL reads them, and without a quote or a comma."""


def _literal(values: Sequence[Any]) -> str:
    return "{" + str(list(values))[1:-1].replace("None", "null") + "}"


def _quoted_literal(values: Sequence[Any]) -> str:
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: str | datetime | None) -> str:
    if value is None:
        return "null"
    text = value.isoformat() if isinstance(value, datetime) else value
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ids_of(array: str) -> list[int]:
    """Return the elements of a bigint[] that a statement returns as text."""
    return list(map(int, array[1:-1].split(","))) if array != "{}" else []
