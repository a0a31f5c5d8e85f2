"""What no job can be, refused: an expectation of it would fail for a reason that is not the test's.

And the assertion that no such job was added would pass, whatever was added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from types import NoneType
from typing import Any

from gw_sqla.errors import JobTesterError
from gw_sqla.jobs.task import Task
from gw_sqla.testing.near_time import Within

__all__ = ["FLAGS", "check_expected", "check_payload"]

_NAME = ((str, NoneType), "a string, or None for none")
FLAGS = (list, tuple, set, frozenset, NoneType)
_NUMBER = ((int,), "a number")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "queue_name": _NAME,
    "job_key": _NAME,
    "run_at": ((datetime, Within), "a datetime with a time zone, or within(...)"),
    "max_attempts": _NUMBER,
    "priority": _NUMBER,
    "flags": (FLAGS, "a list of flags, or None for none"),
}
_PLAIN = (str, int, float, bytes, list, tuple, set, frozenset, dict, date, timedelta, Within, NoneType)
"""What compares itself with nothing but its like."""


def check_payload(task: Task[Any] | str, expected: Any) -> None:
    """Raise JobTesterError for what JSON has not, and for a field that payloads of the task have not."""
    _check_json("payload", expected)
    if not isinstance(task, Task) or not isinstance(expected, Mapping):
        return
    fields = task.payload_type.stored_fields
    if fields is None:
        return
    for name in expected:
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(fields)) or 'none'}"
            raise JobTesterError(
                f"payload: that of task {task.identifier!r} has no field {name!r}: {hint} (for payloads that others "
                f"add: name the task, {task.identifier!r})"
            )


def _check_json(path: str, expected: Any) -> None:
    """Raise JobTesterError for a number and for keys that JSON has not."""
    if isinstance(expected, float) and not math.isfinite(expected):
        raise JobTesterError(f"{path}: is {expected!r}, which JSON has not: no job's payload has it")
    if isinstance(expected, Mapping):
        for name, value in expected.items():
            if not isinstance(name, str):
                raise JobTesterError(f"{path}: has the key {name!r}: in JSON keys are strings")
            _check_json(f"{path}.{name}", value)
    elif isinstance(expected, (list, tuple)):
        for index, item in enumerate(expected):
            _check_json(f"{path}[{index}]", item)


def check_expected(expected: Mapping[str, Any]) -> None:
    """Raise JobTesterError for a value that no job has there; what compares itself may be any."""
    for name, value in expected.items():
        kinds, words = _KINDS[name]
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        is_naive = isinstance(value, datetime) and value.tzinfo is None
        if isinstance(value, _PLAIN) and (not fits or is_naive):
            raise JobTesterError(f"{name}: must be {words}, is {value!r}")
