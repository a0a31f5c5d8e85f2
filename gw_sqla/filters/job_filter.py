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
from gw_sqla.filters.ranges import NumberRange, TimeRange
from gw_sqla.filters.render import render
from gw_sqla.jobs.argument_checks import check_ids, check_storable
from gw_sqla.types import JobState

__all__ = ["JobFilter"]

_SMALLINT = range(-(2**15), 2**15)
_MOST_VALUES = 1000
_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("states", "flags", "without_flags", "errors", "without_errors"), (frozenset,)),
    **dict.fromkeys(("tasks", "queues", "keys", "locked_by"), (Choice, _NONE)),
    **dict.fromkeys(("priority", "attempts"), (NumberRange, _NONE)),
    **dict.fromkeys(("created", "run_at"), (TimeRange, _NONE)),
    "has_error": (bool, _NONE),
    "payload": (tuple,),
    "ids": (NumberRange, frozenset, _NONE),
}


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
        if isinstance(self.ids, NumberRange) and self.ids.least is not None and self.ids.least == self.ids.most:
            object.__setattr__(self, "ids", frozenset({self.ids.least}))
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
    for field, kinds in _KINDS.items():
        if not isinstance(value := getattr(given, field), kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
            raise InvalidFilterError(field, f"must be a {wanted}, is {value!r}")
    if unknown := [state for state in given.states if not isinstance(state, JobState)]:
        raise InvalidFilterError("state", f"{unknown[0]!r} is not a JobState")
    for word, choice, most in (
        ("task", given.tasks, 128),
        ("queue", given.queues, 128),
        ("key", given.keys, 512),
        ("locked-by", given.locked_by, None),
    ):
        names = choice.names if choice is not None else frozenset()
        _check_texts(word, names, most, allow_empty=word != "key")
    if given.tasks is not None and not given.tasks.names:
        raise InvalidFilterError("task", "every job has a task: name some")
    _check_texts("flag", given.flags | given.without_flags, None, allow_empty=True)
    _check_texts("error", given.errors | given.without_errors, None)
    for test in given.payload:
        _check_texts("payload", frozenset({*test.path, test.value or ""}), None, allow_empty=True)
    _check_smallints("priority", given.priority)
    _check_smallints("attempts", given.attempts)
    _check_ids(given.ids)
    start = given.created.start if given.created is not None else None
    if isinstance(start, timedelta) and start > timedelta(0):
        raise InvalidFilterError("created", "no job was made in the future: an hour ago is -1h")


def _check_smallints(word: str, numbers: NumberRange | None) -> None:
    for bound in (numbers.least, numbers.most) if numbers else ():
        if bound is not None and bound not in _SMALLINT:
            raise InvalidFilterError(f"{word}:{bound}", f"numbers here are {_SMALLINT[0]} to {_SMALLINT[-1]}")


def _check_ids(ids: NumberRange | frozenset[int] | None) -> None:
    if isinstance(ids, frozenset):
        _check_count("id", ids)
        if not ids:
            raise InvalidFilterError("id", "has no ids: no job would fit; leave it out to have all")
    numbers = [ids.least, ids.most] if isinstance(ids, NumberRange) else ids or ()
    try:
        check_ids([number for number in numbers if number is not None], "id")
    except InvalidJobError as error:
        raise InvalidFilterError("id", error.problem) from error


def _check_count(word: str, values: frozenset[str] | frozenset[int]) -> None:
    if len(values) > _MOST_VALUES:
        raise InvalidFilterError(word, f"has {len(values)} values; {_MOST_VALUES} is the most")


def _check_texts(word: str, texts: frozenset[str], most: int | None, *, allow_empty: bool = False) -> None:
    _check_count(word, texts)
    for text in texts:
        try:
            check_storable(word, text)
        except InvalidJobError as error:
            raise InvalidFilterError(word, error.problem) from error
        if (not text and not allow_empty) or (most is not None and len(text) > most):
            raise InvalidFilterError(word, f"no job has {text[:40]!r}: 1 to {most or 'any number of'} characters")
