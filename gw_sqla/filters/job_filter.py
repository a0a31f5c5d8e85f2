"""`JobFilter`: which jobs are meant, as a value; every field that is given must fit.

What no job can fit is refused when the value is made, with the reason: a filter that finds nothing because it cannot
find anything looks like good news.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gw_sqla.errors import InvalidFilterError, InvalidJobError
from gw_sqla.filters.contradictions import check_together
from gw_sqla.filters.fields import Choice, FilterFields
from gw_sqla.filters.parse import parse
from gw_sqla.filters.ranges import NumberRange
from gw_sqla.filters.render import render
from gw_sqla.jobs.argument_checks import check_ids, check_storable
from gw_sqla.types import JobState

__all__ = ["JobFilter"]

_SMALLINT = range(-(2**15), 2**15)
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter(FilterFields):
    """Which jobs: those that fit every field; without any, all. `JobFilter.parse` reads, ``str`` writes its text form.

    Parameters: ``states``, any of them; ``tasks``, ``queues``, ``keys``, ``locked_by``: a `Choice` of names;
    ``flags`` that the job has all, ``without_flags`` that it has none of; ``priority`` and ``attempts``
    (made so far): a `NumberRange`; ``created`` and ``run_at``: a `TimeRange`; ``errors``: texts that last_error
    has, upper and lower case alike, ``without_errors``: that it has not; ``has_error``: whether there is one;
    ``payload``: `PayloadTest`; ``ids``: a range, or some.

    Raises `gw_sqla.InvalidFilterError` for what no job can fit.
    """

    def __post_init__(self) -> None:
        _check_values(self)
        tests = {(test.path, test.value or "", test.value is None, test.is_negated): test for test in self.payload}
        object.__setattr__(self, "payload", tuple(tests[key] for key in sorted(tests)))
        check_together(self)

    @classmethod
    def parse(cls, text: str) -> JobFilter:
        """Read the text form, for example ``state:failed task:charge attempts:>3``; an empty text is all jobs.

        Raises InvalidFilterError, which names the word, and what may have been meant.
        """
        return cls(**parse(text))

    def __str__(self) -> str:
        """Return the text form, which `parse` reads as an equal value."""
        return render(self)

    @property
    def is_everything(self) -> bool:
        """Whether all jobs fit."""
        return self == JobFilter()

    @property
    def looks_into_texts(self) -> bool:
        """Whether errors or payloads must be read to tell which jobs fit: each costs more than all the rest."""
        return bool(self.errors or self.without_errors or self.payload)


def _check_values(given: FilterFields) -> None:
    if unknown := [state for state in given.states if not isinstance(state, JobState)]:
        raise InvalidFilterError("states", f"{unknown[0]!r} is not a JobState")
    for field, most in (("tasks", 128), ("queues", 128), ("keys", 512), ("locked_by", None)):
        choice: Choice | None = getattr(given, field)
        _check_texts(field, choice.names if choice is not None else frozenset(), most)
    for field in ("flags", "without_flags", "errors", "without_errors"):
        _check_texts(field, getattr(given, field), None, allow_empty="flags" in field)
    for test in given.payload:
        if not test.path:
            raise InvalidFilterError("payload", "needs a path: payload.order_id:7")
        _check_texts("payload", frozenset({*test.path, test.value or ""}), None, allow_empty=True)
    _check_numbers("priority", given.priority)
    _check_numbers("attempts", given.attempts)
    _check_ids(given.ids)
    start = given.created.start if given.created is not None else None
    if isinstance(start, timedelta) and start > timedelta(0):
        raise InvalidFilterError("created", "no job was made in the future: an hour ago is -1h")


def _check_numbers(field: str, numbers: NumberRange | None) -> None:
    for bound in (numbers.least, numbers.most) if numbers else ():
        if bound is not None and bound not in _SMALLINT:
            raise InvalidFilterError(f"{field}:{bound}", f"numbers here are {_SMALLINT[0]} to {_SMALLINT[-1]}")


def _check_ids(ids: NumberRange | frozenset[int] | None) -> None:
    if isinstance(ids, frozenset):
        _check_count("ids", ids)
        if not ids:
            raise InvalidFilterError("ids", "has no ids: no job would fit; leave it out to have all")
    numbers = [ids.least, ids.most] if isinstance(ids, NumberRange) else ids or ()
    try:
        check_ids([number for number in numbers if number is not None], "ids")
    except InvalidJobError as error:
        raise InvalidFilterError("ids", error.problem) from error


def _check_count(field: str, values: frozenset[str] | frozenset[int]) -> None:
    if not isinstance(values, frozenset):
        raise InvalidFilterError(field, f"must be a frozenset, not {type(values).__name__}")
    if len(values) > _MOST_VALUES:
        raise InvalidFilterError(field, f"has {len(values)} values; {_MOST_VALUES} is the most")


def _check_texts(field: str, texts: frozenset[str], most: int | None, *, allow_empty: bool = False) -> None:
    _check_count(field, texts)
    for text in texts:
        try:
            check_storable(field, text)
        except InvalidJobError as error:
            raise InvalidFilterError(field, error.problem) from error
        if (not text and not allow_empty) or (most is not None and len(text) > most):
            raise InvalidFilterError(field, f"no job has {text[:40]!r}: 1 to {most or 'any number of'} characters")
