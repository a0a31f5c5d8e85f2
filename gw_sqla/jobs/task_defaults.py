"""What the jobs of a task are like unless the call that adds one says otherwise.

They belong to the declared task, in Python: a job that is added by its task's identifier alone (a string, SQL, Node.js,
Rust, a trigger, a crontab's line) has the schema's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_flags, check_smallint, check_text
from gw_sqla.jobs.job_spec import JobOptions

__all__ = ["OfPayload", "TaskDefaults"]

OfPayload: TypeAlias = str | Callable[[Any], str | None] | None
"""A text, or a function of the payload that returns one, or None for none."""

_LONGEST = {"queue_name": 128, "job_key": 512}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefaults:
    """The options of `gw_sqla.JobSpec` that a task may fix; raises InvalidJobError, which names the option."""

    max_attempts: int | None = None
    priority: int | None = None
    queue_name: OfPayload = None
    job_key: OfPayload = None
    flags: Sequence[str] | None = None
    fixed: JobOptions = field(init=False, repr=False, compare=False)
    """Those that are the same for all payloads."""

    def __post_init__(self) -> None:
        check_smallint("max_attempts", self.max_attempts, least=1)
        check_smallint("priority", self.priority)
        check_flags(self.flags)
        for name, most in _LONGEST.items():
            value = getattr(self, name)
            if value is not None and not callable(value):
                check_text(name, value, most)
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.init}
        fixed = {name: value for name, value in values.items() if value is not None and not callable(value)}
        object.__setattr__(self, "fixed", fixed)

    def options(self, payload: Any, given: JobOptions, task: object) -> JobOptions:
        """Return the options of a job: what the call has given, None too, else these.

        Raises InvalidJobError for a function that fails, or returns what the option cannot be.
        """
        options = self.fixed | given
        for name, most in _LONGEST.items():
            function = getattr(self, name)
            if callable(function) and name not in given:
                options[name] = _call(name, function, payload, most, task)  # type: ignore[literal-required]
        return options


def _call(name: str, function: Callable[[Any], Any], payload: Any, most: int, task: object) -> str | None:
    try:
        value = function(payload)
    except Exception as error:
        raise InvalidJobError(name, f"the function of {task!r} failed: {error_text(error)}") from error
    if value is not None:
        try:
            check_text(name, value, most)
        except InvalidJobError as error:
            raise InvalidJobError(name, f"the function of {task!r} returned {value!r}: {error.problem}") from error
    return value  # type: ignore[no-any-return] # it is checked
