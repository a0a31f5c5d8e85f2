"""Which jobs a filter means, said in the simplest way: in Python, of rows that were read whole."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from gw_sqla import JobState
from gw_sqla.admin import Choice, JobFilter, NumberRange, TimeRange

__all__ = ["ROWS", "fits", "state_of", "turn"]

ROWS = """select j.*, j.payload::text as payload_text, j.flags::text as flags_text, t.identifier, q.queue_name
from {s}._private_jobs j
left join {s}._private_tasks t on t.id = j.task_id left join {s}._private_job_queues q on q.id = j.job_queue_id"""


def state_of(row: dict[str, Any], now: datetime) -> JobState:
    if row["locked_at"] is not None:
        return JobState.LOCKED
    if row["attempts"] >= row["max_attempts"]:
        return JobState.FAILED
    if row["run_at"] <= now:
        return JobState.READY
    return JobState.RETRYING if row["attempts"] > 0 else JobState.SCHEDULED


def turn(row: dict[str, Any]) -> Any:
    return row["priority"], row["run_at"], row["id"]


def fits(given: JobFilter, row: dict[str, Any], now: datetime) -> bool:
    flags = set(json.loads(row["flags_text"] or "{}"))
    error = (row["last_error"] or "").lower()
    return all(
        [
            not given.states or state_of(row, now) in given.states,
            _choice(given.tasks, row["identifier"]),
            _choice(given.queues, row["queue_name"]),
            _choice(given.keys, row["key"]),
            _choice(given.locked_by, row["locked_by"]),
            _number(given.priority, row["priority"]),
            _number(given.attempts, row["attempts"]),
            given.flags <= flags,
            not given.without_flags & flags,
            _time(given.created, row["created_at"], now),
            _time(given.run_at, row["run_at"], now),
            given.has_error is None or given.has_error == (row["last_error"] is not None),
            all(text.lower() in error for text in given.errors),
            not any(text.lower() in error for text in given.without_errors),
            all(_payload(test.path, test.value, row["payload_text"]) != test.is_negated for test in given.payload),
            row["id"] in given.ids if isinstance(given.ids, frozenset) else _number(given.ids, row["id"]),
        ]
    )


def _choice(choice: Choice | None, name: str | None) -> bool:
    if choice is None:
        return True
    found = name is not None and (not choice.names or name in choice.names)
    return found != choice.is_negated


def _number(numbers: NumberRange | None, number: int) -> bool:
    if numbers is None:
        return True
    return (numbers.least is None or numbers.least <= number) and (numbers.most is None or number <= numbers.most)


def _time(times: TimeRange | None, moment: datetime, now: datetime) -> bool:
    if times is None:
        return True
    start, end = (now + point if isinstance(point, timedelta) else point for point in (times.start, times.end))
    return (start is None or start <= moment) and (end is None or moment < end)


def _payload(path: tuple[str, ...], value: str | None, text: str) -> bool:
    found = json.loads(text)
    for step in path:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return False
    if found is None:
        return False
    shown = found if isinstance(found, str) else json.dumps(found)
    return value is None or shown == value
