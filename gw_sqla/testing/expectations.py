"""What a test expects of a job, and how a job differs from it.

A payload is compared by containment: each field that is expected must be there, others may be; lists are compared item
by item. Whatever compares itself (``unittest.mock.ANY``, ``pytest.approx``) may stand anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from pydantic_core import PydanticSerializationError, to_jsonable_python

from gw_sqla.crontab.options import phrase
from gw_sqla.errors import JobTesterError
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task

__all__ = ["ExpectedJob", "Within", "differences", "expected_payload", "within"]


class ExpectedJob(TypedDict, total=False):
    """What is expected of a job beside its payload: what is left out may be anything."""

    queue_name: Any
    run_at: Any
    max_attempts: Any
    job_key: Any
    priority: Any
    flags: Any


_ATTRIBUTES = {"job_key": "key"}


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
    """Return the payload as plain JSON where it is one of the task's type; a dict, perhaps of a part, as it is."""
    if payload is None or isinstance(payload, (Mapping, str, int, float)) or isinstance(task, str):
        return payload
    if isinstance(payload, Sequence) and task.payload_type.annotation is not Any:
        return [_plain(item) for item in payload]
    return _plain(payload)


def differences(
    job: JobDetails, payload: Any, expected: Mapping[str, Any], *, now: datetime
) -> list[tuple[str, Any, Any]]:
    """Return what differs, each with what was expected and what is there; nothing where the job is as expected."""
    found = [] if payload is None else list(_payload_differences("payload", payload, job.payload))
    for name, given in expected.items():
        value, actual = given, getattr(job, _ATTRIBUTES.get(name, name))
        if name == "flags":
            actual = sorted(actual or ())
            value = sorted(given or ()) if isinstance(given, (list, tuple, set, type(None))) else given
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
    if isinstance(expected, (str, int, float, bool, Mapping, list, tuple, type(None))):
        return False
    return bool(_plain(expected) == actual)


def _plain(value: Any) -> Any:
    try:
        return to_jsonable_python(value, by_alias=True)
    except PydanticSerializationError:
        return value
