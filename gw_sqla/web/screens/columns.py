"""The columns of the list of jobs, and jobs as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from gw_sqla.admin import ListedJob
from gw_sqla.web.payloads import flag_names, payload_of

__all__ = ["ALL_COLUMNS", "DEFAULT_COLUMNS", "as_csv", "as_record", "chosen_columns"]

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
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def chosen_columns(names: Iterable[str]) -> Sequence[str]:
    """Return those that are known, in their order; the default ones where none is."""
    wanted = set(names)
    return tuple(name for name in ALL_COLUMNS if name in wanted) or DEFAULT_COLUMNS


def as_record(job: ListedJob, mask: Any) -> dict[str, Any]:
    """Return a job as JSON; its payload is None where a list does not read it, for it is large."""
    payload: Any = None
    if job.has_payload:
        try:
            payload = payload_of(job, mask)
        except (ValueError, RecursionError):
            payload = None
    return {
        "id": job.id,
        "state": str(job.state),
        "task_identifier": job.task_identifier,
        "queue_name": job.queue_name,
        "priority": job.priority,
        "run_at": job.run_at.isoformat(),
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "last_error": job.last_error,
        "key": job.key,
        "flags": flag_names(job),
        "locked_at": None if job.locked_at is None else job.locked_at.isoformat(),
        "locked_by": job.locked_by,
        "created_at": job.created_at.isoformat(),
        "updated_at": job.updated_at.isoformat(),
        "revision": job.revision,
        "payload": payload,
    }


def as_csv(jobs: Iterable[ListedJob], mask: Any) -> str:
    """Return jobs as CSV, with names of columns; what a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer: Any = None
    for job in jobs:
        record = as_record(job, mask)
        record["flags"] = ",".join(record["flags"])
        record["payload"] = json.dumps(record["payload"], ensure_ascii=False) if job.has_payload else ""
        if writer is None:
            writer = csv.DictWriter(text, list(record))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in record.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
