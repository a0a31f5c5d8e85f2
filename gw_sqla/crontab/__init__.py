"""Crontabs: Graphile Worker's grammar and some more, as values; nothing here waits or connects.

A line or a `CronItem` has five fields (`fields`), which fire by a `calendar`; `parse` reads a file and
finds all of its faults, `render` writes one, `plan` merges the items' times, for the scheduler.

The fields are read here, because the grammar is the peers' and its faults must be named by line and
column. croniter, given what they mean as plain lists of numbers, does the calendar.
"""

from __future__ import annotations

from gw_sqla.crontab.due_minutes import agenda, backfill, minute_from
from gw_sqla.crontab.item import CronItem, CronOptions
from gw_sqla.crontab.parse import CrontabReading, parse_crontab, read_crontab, scan_crontab
from gw_sqla.crontab.render import render_crontab

__all__ = [
    "CronItem",
    "CronOptions",
    "CrontabReading",
    "agenda",
    "backfill",
    "minute_from",
    "parse_crontab",
    "read_crontab",
    "render_crontab",
    "scan_crontab",
]
