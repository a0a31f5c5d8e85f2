"""Checks of what callers pass: each names the argument and the fix, before the database is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from gw_sqla.errors import ConfigurationError, InvalidJobError
from gw_sqla.types import JobKeyMode

__all__ = [
    "check_bool",
    "check_count",
    "check_flags",
    "check_ids",
    "check_job_key_mode",
    "check_member",
    "check_run_at",
    "check_schema_name",
    "check_smallint",
    "check_storable",
    "check_text",
]

E = TypeVar("E", bound=StrEnum)

_SMALLINT = range(-(2**15), 2**15)


def check_schema_name(schema: object) -> None:
    """Raise ConfigurationError for a name that PostgreSQL, psql or SQLAlchemy could not hold as it is."""
    if not isinstance(schema, str):
        raise ConfigurationError(f"schema: must be the name of a schema, not a {type(schema).__name__}")
    if not schema or len(schema.encode(errors="surrogatepass")) > 63:
        raise ConfigurationError(f"schema: {schema!r} cannot be its name: PostgreSQL wants 1 to 63 bytes")
    if any(ord(character) < 32 or ord(character) == 127 for character in schema):
        raise ConfigurationError(f"schema: {schema!r} cannot be its name: control characters are not supported")
    if "%(" in schema:  # its compiler takes %(...)s for a parameter of asyncpg's: KeyError, wrong SQL, or a wrong name
        raise ConfigurationError(f"schema: {schema!r} cannot be its name: SQLAlchemy takes %( for a parameter")
    if schema.startswith("pg_"):
        raise ConfigurationError(f"schema: {schema!r} cannot be its name: PostgreSQL keeps the prefix pg_ for itself")


def check_text(argument: str, value: object, most: int) -> None:
    """Raise InvalidJobError unless the value is a str of 1 to ``most`` characters that PostgreSQL can hold."""
    check_storable(argument, value)
    assert isinstance(value, str)
    if not 1 <= len(value) <= most:
        raise InvalidJobError(argument, f"must have 1 to {most} characters, has {len(value)}")


def check_bool(argument: str, value: object) -> None:
    """Raise InvalidJobError unless the value is True or False."""
    if not isinstance(value, bool):
        raise InvalidJobError(argument, f"must be True or False, is {value!r}")


def check_count(argument: str, value: object, most: int) -> None:
    """Raise InvalidJobError unless the value is an int from 1 to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidJobError(argument, f"must be an int from 1 to {most}, is {value!r}")


def check_storable(argument: str, value: object) -> None:
    """Raise InvalidJobError unless the value is a str that PostgreSQL can hold: no NUL, no lone surrogate."""
    if not isinstance(value, str):
        raise InvalidJobError(argument, f"must be a str, not {type(value).__name__}")
    if "\0" in value:
        raise InvalidJobError(argument, "has a NUL character (U+0000), which PostgreSQL cannot hold; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidJobError(argument, f"is not valid Unicode: {error.reason} at position {error.start}") from error


def check_run_at(value: object) -> None:
    """Raise InvalidJobError unless ``run_at`` is None or a timezone-aware datetime."""
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidJobError("run_at", f"must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidJobError("run_at", "has no time zone; use for example datetime.now(timezone.utc)")
    try:
        value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidJobError("run_at", "is beyond the years 1 to 9999 in UTC") from error


def check_smallint(argument: str, value: object, *, least: int = _SMALLINT.start) -> None:
    """Raise InvalidJobError unless the value is None or an int that a smallint column takes."""
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidJobError(argument, f"must be an int, not {type(value).__name__}")
    if not least <= value < _SMALLINT.stop:
        raise InvalidJobError(argument, f"must be {least} to {_SMALLINT.stop - 1}, is {value}")


def check_flags(flags: object) -> None:
    """Raise InvalidJobError unless ``flags`` is None or a list of str."""
    if flags is None:
        return
    if isinstance(flags, str) or not isinstance(flags, Sequence):
        raise InvalidJobError("flags", f"must be a list of str, not {type(flags).__name__}")
    for index, flag in enumerate(flags):
        try:
            check_storable("flags", flag)
        except InvalidJobError as error:
            raise InvalidJobError("flags", f"[{index}] {error.problem}") from error


def check_ids(job_ids: Iterable[int], argument: str = "job_ids") -> list[int]:
    """Return the ids as a list; raises InvalidJobError for what cannot be the id of a job."""
    if not isinstance(job_ids, Iterable) or isinstance(job_ids, str | bytes):
        raise InvalidJobError(argument, f"must be a list of ids, not {job_ids!r}")
    ids = list(job_ids)
    for job_id in ids:
        if not isinstance(job_id, int) or isinstance(job_id, bool) or not 0 <= job_id < 2**63:
            raise InvalidJobError(argument, f"{job_id!r} cannot be the id of a job: ids are ints from 0 up")
    return ids


def check_member(members: type[E], argument: str, value: E | str) -> E:
    """Return the value as a member of the enumeration; raises InvalidJobError."""
    try:
        return members(value)
    except ValueError as error:
        raise InvalidJobError(argument, f"must be one of {', '.join(members)}, is {value!r}") from error


def check_job_key_mode(job_key_mode: JobKeyMode | str | None, *, has_key: bool) -> JobKeyMode | None:
    """Return the mode as a member; raises InvalidJobError, also for one that is given without a key."""
    if job_key_mode is None:
        return None
    mode = check_member(JobKeyMode, "job_key_mode", job_key_mode)
    if not has_key:
        raise InvalidJobError("job_key_mode", "has no effect without job_key: give both or neither")
    return mode
