"""What a test expects of a job, and how a job differs from it.

A payload is compared by containment: each field that is expected must be there, others may be; lists are compared item
by item. Whatever compares itself (``unittest.mock.ANY``, ``pytest.approx``) may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from typing import Any, TypedDict

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from gw_sqla.errors import InvalidPayloadError, JobTesterError
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task
from gw_sqla.testing.near_time import Within
from gw_sqla.testing.possible_jobs import FLAGS, check_payload

__all__ = ["ExpectedJob", "differences", "expected_payload", "shown"]


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


def expected_payload(task: Task[Any] | str, payload: Any) -> Any:
    """Return the payload as plain JSON where it is one of the task's type; a dict, perhaps of a part, as it is.

    Raises JobTesterError for what is not the task's type, and for what JSON has not.
    """
    check_payload(task, payload)
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


def differences(
    job: JobDetails, payload: Any, expected: Mapping[str, Any], *, now: datetime
) -> list[tuple[str, Any, Any]]:
    """Return what differs, each with what was expected and what is there; nothing where the job is as expected."""
    found = [] if payload is None else list(_payload_differences("payload", payload, job.payload))
    for name, given in expected.items():
        value, actual = given, getattr(job, _ATTRIBUTES.get(name, name))
        if name == "flags":
            actual = sorted(actual or ())
            value = sorted(given or ()) if isinstance(given, FLAGS) else given
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
