"""What people write of a job: its payload, its time, and whether an application's task takes it."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gw_sqla.application import Application
from gw_sqla.errors import ConfigurationError, InvalidJobError, InvalidPayloadError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.jobs.job_spec import JobSpec

__all__ = ["at_time", "checking_application", "make_spec", "parse_json", "parse_time", "read_payload"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"\+?((?:[0-9]{1,9}[smhdw])+)")
_PART = re.compile(r"([0-9]+)([smhdw])")


def parse_json(text: str | bytes) -> Any:
    """Return the value of JSON text; raises InvalidPayloadError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InvalidPayloadError("is nested too deeply for JSON") from error
    except ValueError as error:
        raise InvalidPayloadError(f"is not JSON: {error}") from error


def parse_time(text: object) -> datetime | timedelta:
    """Return an ISO 8601 time with a time zone, or a duration from now such as ``1h30m``; raises InvalidJobError."""
    if isinstance(text, str) and (found := _DURATION.fullmatch(text)):
        try:
            parts = [timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(found[1])]
            return sum(parts, timedelta(0))
        except OverflowError as error:
            raise InvalidJobError("run_at", f"{text!r} from now is beyond the year 9999") from error
    try:
        time = datetime.fromisoformat(text)  # type: ignore[arg-type] # TypeError is caught
    except (TypeError, ValueError) as error:
        raise InvalidJobError(
            "run_at",
            f"{text!r} is not an ISO 8601 time such as 2030-01-31T08:00:00Z, nor a duration such as 10m or 1h30m",
        ) from error
    if time.utcoffset() is None:
        raise InvalidJobError("run_at", f"{text!r} has no time zone: add Z for UTC, or an offset such as +02:00")
    return time


def read_payload(text: str | None, file: str | None) -> Any:
    """Return the payload of an option, of standard input (``-``) or of a file; None where neither is given.

    Raises InvalidPayloadError, ConfigurationError.
    """
    if text is None and file is None:
        return None
    try:
        given = text if text not in (None, "-") else Path(file).read_bytes() if file else sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigurationError(f"--payload-file {file}: {error.strerror}") from error
    payload = parse_json(given or b"")
    if payload is None:
        raise InvalidPayloadError("is null, which the queue stores as {}: leave it out, or give it a value")
    return payload


def at_time(when: datetime | timedelta | None, now: datetime) -> datetime | None:
    """Return the time itself; a duration counts from ``now``. Raises InvalidJobError for one that no calendar has."""
    if not isinstance(when, timedelta):
        return when
    try:
        return now + when
    except OverflowError as error:
        raise InvalidJobError("run_at", f"{when} from now is beyond the year 9999") from error


def checking_application(apps: Sequence[str]) -> Application | None:
    """Return that of ``--app``, by which payloads are checked, and whose interceptors see what is added; or None."""
    if not apps:
        return None
    from gw_sqla.cli.application import load_apps

    with contextlib.redirect_stdout(sys.stderr):  # what the application prints must not end up among the ids
        return load_apps(apps)


def make_spec(tasks: TaskRegistry | None, identifier: str, payload: Any, options: dict[str, Any]) -> JobSpec:
    """Return the job to add; raises InvalidJobError.

    ``payload`` is plain JSON, None for none; options that are None are not given. Where there are tasks, it must be one
    of them, the payload has to fit its type, and the job has what the task fixes for its jobs.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if tasks is None:
        return JobSpec(task_identifier=identifier, payload=payload, **given)
    if identifier not in tasks:
        near = get_close_matches(identifier, tasks, 1)
        hint = f": did you mean {near[0]!r}?" if near else f": it has {', '.join(sorted(tasks)[:20])}"
        raise ConfigurationError(f"--app has no task {identifier!r}{hint}")
    task = tasks[identifier]
    if task.takes_payload:
        stored = {} if payload is None else payload
        payload = task.payload_type.load(json.dumps(stored))
    return task.spec(payload, **given)
