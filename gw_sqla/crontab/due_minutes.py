"""The items' times merged: what is due at which minute, from a minute on, or to be made up for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import groupby, takewhile
from operator import itemgetter
from typing import TypeAlias

from gw_sqla.crontab.calendar import MINUTE, minute_from
from gw_sqla.crontab.item import CronItem

__all__ = ["MINUTE", "Due", "agenda", "backfill", "minute_from"]

Due: TypeAlias = tuple[datetime, list[CronItem]]
"""A minute and the items that fire at it, in the order of the crontab."""


def agenda(items: Sequence[CronItem], start: datetime) -> Iterator[Due]:
    """Yield each minute from ``start`` (included) on at which an item fires; it may never end."""
    return _merged(items, [item.fires(start) for item in items])


def backfill(items: Sequence[CronItem], known: Mapping[str, datetime], now: datetime, until: datetime) -> Iterator[Due]:
    """Yield the minutes before ``until`` (excluded) to make up for, oldest first.

    ``known`` has the last execution of each item that was known before, or since when it has been known:
    an item goes back to that, and not further than its fill reaches from ``now``. Graphile Worker's rule.
    """
    filled = [item for item in items if item.fill and item.identifier in known]
    starts = [max(known[item.identifier], now - item.fill) for item in filled]
    times = [_before(until, item.fires(start)) for item, start in zip(filled, starts, strict=True)]
    return _merged(filled, times)


def _before(until: datetime, times: Iterable[datetime]) -> Iterator[datetime]:
    return takewhile(lambda minute: minute < until, times)


def _merged(items: Sequence[CronItem], times: Sequence[Iterable[datetime]]) -> Iterator[Due]:
    merged = merge(*(_tagged(index, minutes) for index, minutes in enumerate(times)))
    for minute, due in groupby(merged, key=itemgetter(0)):
        yield minute, [items[index] for _, index in due]


def _tagged(index: int, minutes: Iterable[datetime]) -> Iterator[tuple[datetime, int]]:
    return ((minute, index) for minute in minutes)
