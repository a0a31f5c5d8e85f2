"""What a test expects of a job, and how a job differs from it.

A payload is compared by containment: each field that is expected must be there, others may be; lists are compared item
by item. Whatever compares itself (``unittest.mock.ANY``, ``pytest.approx``) may stand anywhere.

What no job can be is refused: an expectation of it would fail for a reason that is not the test's, and the assertion
that no such job was added would pass whatever was added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime, timedelta
from types import NoneType
from typing import Any, TypedDict

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from gw_sqla.crontab.options import phrase
from gw_sqla.errors import InvalidPayloadError, JobTesterError
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task

__all__ = ["ExpectedJob", "Within", "check_expected", "differences", "expected_payload", "shown", "within"]


class ExpectedJob(TypedDict, total=False):
    """What is expected of a job beside its payload: what is left out may be anything."""

    queue_name: Any
    run_at: Any
    max_attempts: Any
    job_key: Any
    priority: Any
    flags: Any


_ATTRIBUTES = {"job_key": "key"}
_MOST_SHOWN = 500


class Within:
    """A time near another; made by `within`."""

    def __init__(self, duration: timedelta, of: datetime | None) -> None:
        self._duration = duration
        self._of = of

    def fits(self, value: object, now: datetime) -> bool:
        """Tell whether the value is a time that near; ``now`` is the kit's time."""
        return isinstance(value, datetime) and abs(value - (self._of or now)) <= self._duration

    def __repr__(self) -> str:
        return f"within {self._duration} of {'now' if self._of is None else self._of}"


_NAME = ((str, NoneType), "a string, or None for none")
_FLAGS = (list, tuple, set, frozenset, NoneType)
_NUMBER = ((int,), "a number")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "queue_name": _NAME,
    "job_key": _NAME,
    "run_at": ((datetime, Within), "a datetime with a time zone, or within(...)"),
    "max_attempts": _NUMBER,
    "priority": _NUMBER,
    "flags": (_FLAGS, "a list of flags, or None for none"),
}
_PLAIN = (str, int, float, bytes, list, tuple, set, frozenset, dict, date, timedelta, Within, NoneType)
"""What compares itself with nothing but its like."""


def within(duration: timedelta | str, *, of: datetime | None = None) -> Any:
    """Return what a ``run_at`` is compared with that may be as far as ``duration`` from a time, before or after it.

    Parameters: ``duration``, a timedelta or a phrase as in a crontab, ``"1h"``, ``"2d12h"``; ``of``, the time, with a
    time zone; by default the kit's time when they are compared. Raises JobTesterError for anything else.
    """
    if isinstance(duration, str):
        if not re.fullmatch(r"(?:[0-9]+[smhdw])+", duration):
            raise JobTesterError(f"within: {duration!r} must be a duration such as 1w2d3h4m5s, or a timedelta")
        duration = phrase(duration)
    if not isinstance(duration, timedelta) or duration < timedelta(0):
        raise JobTesterError(f"within: must be a duration, is {duration!r}")
    if of is not None and (not isinstance(of, datetime) or of.tzinfo is None):
        raise JobTesterError(f"within: of: must be a datetime with a time zone, is {of!r}")
    return Within(duration, of)


def expected_payload(task: Task[Any] | str, payload: Any) -> Any:
    """Return the payload as plain JSON where it is one of the task's type; a dict, perhaps of a part, as it is.

    Raises JobTesterError for what is not the task's type, and for what JSON has not.
    """
    _check_json("payload", payload)
    if payload is None or isinstance(payload, (Mapping, str, int, float)):
        return payload
    if isinstance(payload, (list, tuple)):
        return [_plain(item) for item in payload]
    if isinstance(task, Task) and (is_dataclass(payload) or isinstance(payload, BaseModel)):
        try:
            payload = task.payload_type.dump(payload)[1]
        except InvalidPayloadError as error:
            raise JobTesterError(f"payload: {error.problem}") from error
    return _plain(payload)


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


def differences(
    job: JobDetails, payload: Any, expected: Mapping[str, Any], *, now: datetime
) -> list[tuple[str, Any, Any]]:
    """Return what differs, each with what was expected and what is there; nothing where the job is as expected."""
    found = [] if payload is None else list(_payload_differences("payload", payload, job.payload))
    for name, given in expected.items():
        value, actual = given, getattr(job, _ATTRIBUTES.get(name, name))
        if name == "flags":
            actual = sorted(actual or ())
            value = sorted(given or ()) if isinstance(given, _FLAGS) else given
        if not (value.fits(actual, now) if isinstance(value, Within) else _equal(value, actual)):
            found.append((name, value, actual))
    return found


class _Missing:
    def __repr__(self) -> str:
        return "missing"


def _payload_differences(path: str, expected: Any, actual: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, Mapping) and isinstance(actual, dict):
        for name, value in expected.items():
            if name in actual:
                yield from _payload_differences(f"{path}.{name}", value, actual[name])
            else:
                yield f"{path}.{name}", value, _Missing()
    elif isinstance(expected, (list, tuple)) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (value, item) in enumerate(zip(expected, actual, strict=True)):
            yield from _payload_differences(f"{path}[{index}]", value, item)
    elif not _equal(expected, actual):
        yield path, expected, actual


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) is not isinstance(actual, bool) and isinstance(expected, (bool, int, float)):
        return False  # JSON's true is not 1
    if expected == actual:
        return True
    if isinstance(expected, datetime) and expected.tzinfo is not None and isinstance(actual, str):
        return _is_instant(expected, actual)
    if isinstance(expected, (str, int, float, bool, Mapping, list, tuple, type(None))):
        return False
    return bool(_plain(expected) == actual)


def _is_instant(expected: datetime, text: str) -> bool:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return False
    return found.tzinfo is not None and found == expected


def shown(value: object) -> str:
    """Return the value for a message: not all of a payload of many kilobytes."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text)} characters)"


def _plain(value: Any) -> Any:
    try:
        return to_jsonable_python(value, by_alias=True)
    except PydanticSerializationError:
        return value
