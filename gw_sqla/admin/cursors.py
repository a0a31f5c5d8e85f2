"""Cursors of pages as opaque text: in which order, which way, from where; checked, so that a broken one is an error."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from gw_sqla.admin.values import JobOrder
from gw_sqla.errors import InvalidJobError
from gw_sqla.statements.job_ranges import Place

__all__ = ["Cursor", "read_cursor", "write_cursor"]

_TIME = re.compile(r"-?infinity|\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?( BC)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in an order, and whether the page before it is meant."""

    order: JobOrder
    descending: bool
    backwards: bool
    place: Place


def write_cursor(cursor: Cursor) -> str:
    """Return the text."""
    fields = [str(cursor.order), cursor.descending, cursor.backwards, *cursor.place]
    text = json.dumps(fields, separators=(",", ":")).encode()
    return urlsafe_b64encode(crc32(text).to_bytes(4, "big") + text).decode().rstrip("=")


def read_cursor(text: str, order: JobOrder, descending: bool) -> Cursor:
    """Return what the text says; raises InvalidJobError for one that is broken, or of another order."""
    cursor = _read(text)
    if cursor is None:
        raise InvalidJobError("cursor", "is none of a page's next and previous, or is not whole")
    if (cursor.order, cursor.descending) != (order, descending):
        way = "descending" if cursor.descending else "ascending"
        raise InvalidJobError("cursor", f"is of a page in the order {cursor.order}, {way}: go on in that order")
    return cursor


def _read(text: str) -> Cursor | None:
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if crc32(data[4:]).to_bytes(4, "big") != data[:4]:
            return None
        fields: Any = json.loads(data[4:])
        order, descending, backwards, number, priority, run_at = fields
        place = Place(number, priority, run_at)
        return Cursor(JobOrder(order), descending, backwards, place) if _is_sound(order, place) else None
    except (ValueError, TypeError):
        return None


def _is_sound(order: str, place: Place) -> bool:
    if not isinstance(place.id, int) or not 0 <= place.id < 2**63:
        return False
    if order == JobOrder.ID:
        return True
    is_priority = isinstance(place.priority, int) and -(2**15) <= place.priority < 2**15
    return is_priority and isinstance(place.run_at, str) and _TIME.fullmatch(place.run_at) is not None
