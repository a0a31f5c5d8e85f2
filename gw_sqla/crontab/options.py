"""The options of a line: a query string, in the spelling of Graphile Worker for Node.js or for Rust."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

from gw_sqla.crontab.findings import Findings
from gw_sqla.crontab.item import check_option
from gw_sqla.errors import InvalidJobError

__all__ = ["phrase", "read_options"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def phrase(text: str) -> timedelta:
    """A time phrase such as 1w2d3h4m5s; each unit any number of times."""
    parts = re.findall(r"([0-9]+)([smhdw])", text)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))
    except (OverflowError, ValueError):  # beyond a timedelta; thousands of digits
        return timedelta.max


def _number(text: str) -> int:
    return int(text[:9])  # what has more digits is out of range anyway


@dataclass(frozen=True, slots=True)
class _Option:
    field: str
    """Of a CronItem."""
    pattern: re.Pattern[str]
    expected: str
    convert: Callable[[str], Any] = str
    peers: bool = True
    """Whether Graphile Worker for Node.js has it under this name."""


_KEY = (re.compile(r".*", re.DOTALL), "any text")
_MODE = (re.compile(r"replace|preserve_run_at"), "replace or preserve_run_at")

_OPTIONS = {
    "id": _Option("id", re.compile(r"[_a-zA-Z][-_a-zA-Z0-9]*"), "a name of letters, digits, _ and -"),
    "fill": _Option("fill", re.compile(r"(?:[0-9]+[smhdw])+"), "a duration such as 1w2d3h4m5s", phrase),
    "max": _Option("max_attempts", re.compile(r"[0-9]+"), "a number of attempts", _number),
    "queue": _Option("queue_name", re.compile(r"[-a-zA-Z0-9_:]+"), "a name of letters, digits, _, - and :"),
    "jobKey": _Option("job_key", *_KEY),
    "job_key": _Option("job_key", *_KEY, peers=False),
    "jobKeyMode": _Option("job_key_mode", *_MODE),
    "job_key_mode": _Option("job_key_mode", *_MODE, peers=False),
    "priority": _Option("priority", re.compile(r"-?[0-9]+"), "a whole number", _number),
    "tz": _Option("tz", re.compile(r".+"), "a time zone such as Europe/Paris", peers=False),
    "flags": _Option("flags", re.compile(r"[^,]+(?:,[^,]+)*"), "names with commas between them", peers=False),
}


def read_options(text: str, column: int, findings: Findings) -> dict[str, Any]:
    """Read what follows the question mark, which is at ``column``; return fields of a CronItem and their values."""
    read: dict[str, Any] = {}
    columns: dict[str, int] = {}
    for pair in re.finditer(r"[^&]+", text):
        key, _, value = pair.group().partition("=")
        _read(unquote_plus(key), value, column + 1 + pair.start(), read, columns, findings)
    if "job_key_mode" in read and "job_key" not in read:
        findings.warn(columns["job_key_mode"], "the mode has no effect without jobKey: remove it, or add a jobKey")
        del read["job_key_mode"]
    return read


def _read(key: str, raw: str, column: int, read: dict[str, Any], columns: dict[str, int], findings: Findings) -> None:
    option = _OPTIONS.get(key)
    if option is None:
        findings.error(column, f"there is no option {key!r}: the options are {', '.join(_OPTIONS)}")
        return
    if option.field in columns:
        findings.error(column, f"{key} is given twice: remove one")
        return
    columns[option.field] = column
    if not option.peers:
        findings.warn(column, f"Graphile Worker for Node.js does not have the option {key}")
    text = raw if key == "flags" else unquote_plus(raw)
    if not option.pattern.fullmatch(text):
        findings.error(column, f"{key}: {text!r} must be {option.expected}")
        return
    value = [unquote_plus(flag) for flag in text.split(",")] if key == "flags" else option.convert(text)
    try:
        read[option.field] = check_option(option.field, value)
    except InvalidJobError as error:
        findings.error(column, f"{key}: {error.problem}")
