"""Payloads between JSON's text and what Python makes of it: nothing that is stored may get lost on the way unseen.

PostgreSQL's ``json`` keeps what Python's parser does not: numbers with any number of digits, a name twice, and halves
of surrogate pairs, which Node.js writes and no encoding has. What is shown says exactly what is stored; what somebody
writes, and Python would store as something else, is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gw_sqla.errors import InvalidPayloadError

__all__ = ["encodable", "json_text", "read_for_display", "read_written", "reindented"]


def json_text(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as JSON that every encoding has; raises ValueError and the like for what JSON has not."""
    return encodable(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=default))


def encodable(text: str) -> str:
    """Return a text with halves of surrogate pairs as JSON escapes them."""
    return text.encode(errors="backslashreplace").decode()


def read_for_display(text: str) -> Any:
    """Return what a text says, fractions as they are written; raises ValueError or RecursionError."""
    return json.loads(text, parse_float=Decimal)


def read_written(text: str) -> Any:
    """Return what somebody has written; raises InvalidPayloadError for what is no JSON, or would be stored changed."""
    try:
        return json.loads(text, parse_float=_kept, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError(f"is not JSON that can be stored: {error}") from error


def reindented(text: str) -> str:
    """Return a JSON text, indented, where that says exactly what it says; else as it is.

    So is what is nested so deeply that it would be next to nothing but spaces: 6 kB of brackets have 18 MB of them.
    """
    try:
        value = json.loads(
            text,
            parse_float=_same(float),
            parse_int=_same(int),
            parse_constant=_no_constant,
            object_pairs_hook=_distinct,
        )
        indented = json_text(value, indent=2)
    except (ValueError, RecursionError):
        return text
    return indented if len(indented) <= 20 * len(text) + 1000 else text


def _kept(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"the number {text[:40]} has more digits than a float can keep")
    return number


def _same(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def read(text: str) -> int | float:
        number = kind(text)
        if repr(number) != text:
            raise ValueError("Python would write this number in another way")
        return number

    return read


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number that JSON has")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} is there twice")
    return found
