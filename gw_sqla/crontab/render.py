"""Cron items to a crontab's text; reading it gives equal items."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import quote

from gw_sqla.crontab.item import CronItem
from gw_sqla.crontab.parse import scan_crontab
from gw_sqla.errors import ConfigurationError

__all__ = ["render_crontab"]


def render_crontab(items: Iterable[CronItem]) -> str:
    """Return a crontab with a line for each item.

    Raises ConfigurationError, which names the item, for one that a line cannot express: a task, id or queue name with
    characters that only Python permits.
    """
    return "".join(_line(item) + "\n" for item in items)


def _line(item: CronItem) -> str:
    options = "&".join(f"{key}={value}" for key, value in _options(item).items())
    payload = None if item.payload is None else json.dumps(item.payload)
    line = " ".join(part for part in (item.schedule, item.task, options and f"?{options}", payload) if part)
    reading = scan_crontab(line)
    if reading.items != [item]:
        why = "; ".join(problem.text for problem in reading.errors) or "its line would mean something else"
        raise ConfigurationError(f"cron item {item.identifier!r} cannot be a line of a crontab: {why}")
    return line


def _options(item: CronItem) -> dict[str, str]:
    values = {
        "id": item.id,
        "fill": _phrase(item.fill) if item.fill else None,
        "max": item.max_attempts,
        "queue": item.queue_name,
        "jobKey": item.job_key,
        "jobKeyMode": item.job_key_mode,
        "priority": item.priority,
        "tz": item.tz,
    }
    rendered = {key: quote(str(value), safe=":/") for key, value in values.items() if value is not None}
    if item.flags:
        rendered["flags"] = ",".join(quote(flag, safe="") for flag in item.flags)
    return rendered


def _phrase(fill: timedelta) -> str:
    """The duration in weeks, days, hours, minutes and seconds, without those of which there are none."""
    seconds = int(fill.total_seconds())
    phrase = ""
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        phrase += f"{count}{unit}" if count else ""
    return phrase
