"""CronItem: one line of a crontab as a value, checked when it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from gw_sqla.crontab.calendar import Calendar
from gw_sqla.crontab.fields import read_fields
from gw_sqla.crontab.findings import Findings
from gw_sqla.errors import ConfigurationError, InvalidJobError
from gw_sqla.jobs.argument_checks import (
    check_flags,
    check_job_key_mode,
    check_member,
    check_smallint,
    check_storable,
    check_text,
)
from gw_sqla.jobs.payload import to_json
from gw_sqla.types import JobKeyMode

__all__ = ["CronItem", "CronOptions", "check_option", "load_zone"]

_LONGEST_FILL = timedelta(days=36525)


class CronOptions(TypedDict, total=False):
    """What a `CronItem` can be given beside its task and schedule, as keywords."""

    payload: Any
    fill: timedelta
    id: str | None
    tz: str | None
    queue_name: str | None
    max_attempts: int | None
    job_key: str | None
    job_key_mode: JobKeyMode | None
    priority: int | None
    flags: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class CronItem:
    """A task and when jobs for it are added: what a line of a crontab says.

    Parameters: ``task``, the identifier of any worker's task; ``schedule``, the five fields, or a nickname such as
    ``@daily``; ``payload``, a mapping that JSON can hold, to which each job adds ``_cron`` (``ts``, its minute, and
    ``backfilled``); ``fill``, how far back missed minutes are made up for when a worker starts (whole seconds,
    default none); ``id``, what identifies the item in the database (default the task); ``tz``, the time zone of the
    schedule, such as ``Europe/Paris`` (default UTC); ``queue_name``, ``max_attempts``, ``job_key``,
    ``priority`` and ``flags`` as in `gw_sqla.JobSpec`; ``job_key_mode``, `JobKeyMode.REPLACE` or
    `JobKeyMode.PRESERVE_RUN_AT`.

    Raises ConfigurationError, which names the field. The rules are Graphile Worker's; ``tz``, ``flags``, names, steps
    of ranges and nicknames are gw_sqla's own.
    """

    task: str
    schedule: str
    _: KW_ONLY
    payload: Mapping[str, Any] | None = None
    fill: timedelta = timedelta(0)
    id: str | None = None
    tz: str | None = None
    queue_name: str | None = None
    max_attempts: int | None = None
    job_key: str | None = None
    job_key_mode: JobKeyMode | None = None
    priority: int | None = None
    flags: Sequence[str] | None = None
    _calendar: Calendar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            for name in (entry.name for entry in fields(self) if entry.init):
                object.__setattr__(self, name, check_option(name, getattr(self, name)))
            check_job_key_mode(self.job_key_mode, has_key=self.job_key is not None)
        except InvalidJobError as error:
            raise ConfigurationError(f"cron item {self.id or self.task!r}: {error}") from error
        object.__setattr__(self, "_calendar", _calendar(self.schedule, self.tz))

    @property
    def identifier(self) -> str:
        """What identifies the item in a crontab and in the database: its id, else its task."""
        return self.id or self.task

    def fires(self, start: datetime) -> Iterator[datetime]:
        """Yield each minute at which it fires, in UTC, from ``start`` (timezone-aware, included) on.

        It may never end, and is empty for a day that no month has. At clock changes of ``tz``, a time that is skipped
        fires once, at the next valid minute, and a repeated one the first time; an item that fires in every hour
        goes on through both.
        """
        return self._calendar.fires(start)

    def local(self, minute: datetime) -> datetime:
        """Return the time that clocks show at this minute where the schedule is meant."""
        return minute.astimezone(self._calendar.zone or UTC)

    def job_payload(self, minute: datetime, *, backfilled: bool) -> dict[str, Any]:
        """Return the payload of the job for a minute (UTC), with ``_cron`` as Graphile Worker writes it."""
        ts = minute.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {**(self.payload or {}), "_cron": {"ts": ts, "backfilled": backfilled}}


def check_option(name: str, value: Any) -> Any:
    """Return what the field of a CronItem holds for the value; raises InvalidJobError, which names the field."""
    if name in ("task", "id", "queue_name"):
        if value is not None or name == "task":
            check_text(name, value, 128)
    elif name == "schedule":
        check_storable(name, value)
        return " ".join(value.split())
    elif name == "payload":
        return _payload(value)
    elif name == "fill":
        _check_fill(value)
    elif name == "job_key" and value is not None:
        check_text(name, value, 512)
    elif name == "max_attempts":
        check_smallint(name, value, least=1)
    elif name == "priority":
        check_smallint(name, value)
    elif name == "flags":
        check_flags(value)
        return tuple(value or ()) or None
    elif name == "job_key_mode" and value is not None:
        return _mode(value)
    elif name == "tz" and value is not None:
        load_zone(value)
    return value


def load_zone(name: object) -> ZoneInfo:
    """Return the time zone of this name; raises InvalidJobError for one that is not there."""
    check_text("tz", name, 128)
    try:
        return ZoneInfo(str(name))
    except (LookupError, ValueError, OSError) as error:  # not there; not a key; a folder of zones
        raise InvalidJobError(
            "tz",
            f"{name!r} is not a time zone of this machine: use a name such as Europe/Paris (pip install tzdata if "
            "the machine has none)",
        ) from error


def _payload(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    plain = json.loads(to_json(value))
    if not isinstance(plain, dict):
        raise InvalidJobError("payload", f"must be a mapping, as _cron is added to it, not {type(value).__name__}")
    return plain


def _check_fill(value: object) -> None:
    if not isinstance(value, timedelta):
        raise InvalidJobError("fill", f"must be a timedelta, not {type(value).__name__}")
    if not timedelta(0) <= value <= _LONGEST_FILL or value.microseconds:
        raise InvalidJobError("fill", f"must be 0 to {_LONGEST_FILL.days} days, in whole seconds, is {value}")


def _mode(value: Any) -> JobKeyMode:
    mode: JobKeyMode = check_member(JobKeyMode, "job_key_mode", value)
    if mode is JobKeyMode.UNSAFE_DEDUPE:
        raise InvalidJobError("job_key_mode", "must be replace or preserve_run_at in a crontab")
    return mode


def _calendar(schedule: str, tz: str | None) -> Calendar:
    words = [(match.start() + 1, match.group()) for match in re.finditer(r"\S+", schedule)]
    findings = Findings()
    if len(words) not in (1, 5):
        raise ConfigurationError(f"schedule: {schedule!r} must have five fields, such as '0 4 * * *', has {len(words)}")
    read = read_fields(words, findings)
    if read is None:
        faults = "; ".join(f"column {problem.column}: {problem.text}" for problem in findings.errors)
        raise ConfigurationError(f"schedule: {schedule!r}: {faults}")
    return Calendar(read, None if tz is None else load_zone(tz))
