"""The columns of the list of jobs, and jobs as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from gw_sqla.admin import JobPage, ListedJob
from gw_sqla.web.json_texts import json_text
from gw_sqla.web.payloads import flag_names, payload_text

__all__ = ["ALL_COLUMNS", "DEFAULT_COLUMNS", "as_csv", "as_json", "chosen_columns"]

ALL_COLUMNS = {
    "state": "State",
    "task": "Task",
    "queue": "Queue",
    "priority": "Priority",
    "run_at": "Runs at",
    "attempts": "Attempts",
    "error": "Last error",
    "payload": "Payload",
    "key": "Key",
    "flags": "Flags",
    "locked_by": "Locked by",
    "created_at": "Added",
    "updated_at": "Updated",
}
"""Beside the id, which is always there."""

DEFAULT_COLUMNS = ("state", "task", "queue", "run_at", "attempts", "error")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")


def chosen_columns(names: Iterable[str]) -> Sequence[str]:
    """Return those that are known, in their order; the default ones where none is."""
    wanted = set(names)
    return tuple(name for name in ALL_COLUMNS if name in wanted) or DEFAULT_COLUMNS


def as_json(page: JobPage, mask: Any) -> str:
    """Return a page of jobs as JSON, payloads as they are stored; null where a list does not read one, for it is large.

    Put together as text: Python would change numbers, and has no way to write some.
    """
    jobs = [
        f'{json_text(_record(job))[:-1]}, "payload": {payload_text(job, mask) if job.has_payload else "null"}}}'
        for job in page.jobs
    ]
    return f'{{"jobs": [{", ".join(jobs)}], "next": {json_text(page.next)}, "previous": {json_text(page.previous)}}}'


def as_csv(jobs: Iterable[ListedJob], mask: Any) -> str:
    """Return jobs as CSV, with names of columns; what a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_RECORD, "payload"])
    for job in jobs:
        record = _record(job) | {"flags": ",".join(flag_names(job))}
        writer.writerow([*map(_cell, record.values()), _cell(payload_text(job, mask) if job.has_payload else "")])
    return text.getvalue()


_RECORD = (
    "id", "state", "task_identifier", "queue_name", "priority", "run_at", "attempts", "max_attempts", "last_error",
    "key", "flags", "locked_at", "locked_by", "created_at", "updated_at", "revision",
)  # fmt: skip


def _record(job: ListedJob) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(job, name) for name in _RECORD}
    times = {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}
    return values | times | {"state": str(job.state), "flags": flag_names(job)}


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
