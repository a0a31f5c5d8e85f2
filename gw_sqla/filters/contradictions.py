"""What a filter's fields cannot mean together."""

from __future__ import annotations

from datetime import timedelta

from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.fields import Choice, FilterFields, PayloadTest
from gw_sqla.types import JobState

__all__ = ["check_together"]

_NOW = timedelta(0)


def check_together(given: FilterFields) -> None:
    """Raise InvalidFilterError where no job can fit all of it."""
    _check_states(given)
    for wanted, unwanted, word in (
        (given.flags, given.without_flags, "flag"),
        (given.errors, given.without_errors, "error"),
    ):
        if both := sorted(wanted & unwanted):
            raise InvalidFilterError(f"{word}:{both[0]}", "is asked for and left out: no job fits both")
    if given.has_error is False and given.errors:
        raise InvalidFilterError("-error:*", "no job without an error has one with this text")
    for test in given.payload:
        for other in given.payload:
            if test.path == other.path and not test.is_negated and _contradicts(test.value, other):
                path = ".".join(test.path)
                raise InvalidFilterError(f"payload.{path}", "has one value: no job fits both")


def _contradicts(value: str | None, other: PayloadTest) -> bool:
    if other.is_negated:
        return other.value is None or other.value == value
    return value is not None and other.value is not None and other.value != value


def _check_states(given: FilterFields) -> None:
    states = given.states
    if not states:
        return
    named = ",".join(sorted(states))
    if given.locked_by is not None and not given.locked_by.is_negated and JobState.LOCKED not in states:
        raise InvalidFilterError("locked-by", f"only locked jobs have it, and state:{named} leaves them out")
    if given.locked_by == Choice(is_negated=True) and states == {JobState.LOCKED}:
        raise InvalidFilterError("-locked-by:*", "every locked job is locked by somebody")
    if given.attempts is not None:
        if states == {JobState.SCHEDULED} and (given.attempts.least or 0) > 0:
            raise InvalidFilterError("attempts", "scheduled jobs have made none: state:retrying has those that did")
        if states == {JobState.RETRYING} and given.attempts.most is not None and given.attempts.most < 1:
            raise InvalidFilterError("attempts", "retrying jobs have made one at least: state:scheduled has the others")
    if given.run_at is not None:
        start, end = given.run_at.start, given.run_at.end
        if states == {JobState.READY} and isinstance(start, timedelta) and start > _NOW:
            raise InvalidFilterError("run-at", "ready jobs are due by now: state:scheduled,retrying has later ones")
        if states <= {JobState.SCHEDULED, JobState.RETRYING} and isinstance(end, timedelta) and end <= _NOW:
            raise InvalidFilterError("run-at", f"state:{named} is due later than now: state:ready has what is due")
