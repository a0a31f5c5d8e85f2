"""The fields of a `gw_sqla.filters.job_filter.JobFilter`, unchecked: what its readers and writers share."""

from __future__ import annotations

from dataclasses import dataclass

from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.ranges import NumberRange, TimeRange
from gw_sqla.types import JobState

__all__ = ["Choice", "FilterFields", "PayloadTest"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``names``; no names: any at all (``queue:*``). ``is_negated``: none of them (``-queue:*``: no queue)."""

    names: frozenset[str] = frozenset()
    is_negated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.names, frozenset):
            raise InvalidFilterError("names", f"must be a frozenset of str, is {self.names!r}")


@dataclass(frozen=True, slots=True)
class PayloadTest:
    """What stands at ``path`` in the payload, as text, is ``value``; None: there is something, and not null.

    The path's parts are the names of members and the numbers of items, from 0. ``"7"`` fits the number and the string;
    numbers are compared as they were written. A payload with a ``\\u0000`` or half a surrogate, which PostgreSQL cannot
    take apart, fits no test.
    """

    path: tuple[str, ...]
    value: str | None = None
    is_negated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, tuple) or not self.path:
            raise InvalidFilterError("payload", f"needs a path (payload.order_id:7), a tuple of str; is {self.path!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterFields:
    """What the filter has; its own class says what each field means."""

    states: frozenset[JobState] = frozenset()
    tasks: Choice | None = None
    queues: Choice | None = None
    keys: Choice | None = None
    locked_by: Choice | None = None
    priority: NumberRange | None = None
    attempts: NumberRange | None = None
    flags: frozenset[str] = frozenset()
    without_flags: frozenset[str] = frozenset()
    created: TimeRange | None = None
    run_at: TimeRange | None = None
    has_error: bool | None = None
    errors: frozenset[str] = frozenset()
    without_errors: frozenset[str] = frozenset()
    payload: tuple[PayloadTest, ...] = ()
    ids: NumberRange | frozenset[int] | None = None
