"""Reads a filter's text form; each error names the word, and the nearest that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, cast

from gw_sqla.errors import InvalidFilterError
from gw_sqla.filters.fields import Choice, PayloadTest
from gw_sqla.filters.ranges import NumberRange, TimePoint, TimeRange
from gw_sqla.filters.times import parse_time
from gw_sqla.filters.words import Part, Word, words
from gw_sqla.types import JobState

__all__ = ["FIELD_WORDS", "STATE_WORDS", "parse"]

FIELD_WORDS = {
    "state": "states",
    "task": "tasks",
    "queue": "queues",
    "key": "keys",
    "locked-by": "locked_by",
    "priority": "priority",
    "attempts": "attempts",
    "flag": "flags",
    "created": "created",
    "run-at": "run_at",
    "error": "errors",
    "payload": "payload",
    "id": "ids",
}
"""The fields of the text form, and what they are in a filter."""

STATE_WORDS: dict[str, frozenset[JobState]] = {
    **{str(state): frozenset({state}) for state in JobState},
    "running": frozenset({JobState.LOCKED}),
    "waiting": frozenset({JobState.READY, JobState.RETRYING, JobState.SCHEDULED}),
}
"""The values of ``state:``; the last two are words for others."""

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def parse(text: str) -> dict[str, Any]:
    """Return the fields of the filter; raises InvalidFilterError."""
    if not isinstance(text, str):
        raise InvalidFilterError("", f"must be a str, not {type(text).__name__}")
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for word in words(text):
        field = FIELD_WORDS.get(word.field)
        if field is None:
            raise InvalidFilterError(word.text, f"there is no field {word.field!r}", _nearest(word.field, FIELD_WORDS))
        if word.path and field != "payload":
            raise InvalidFilterError(word.text, f"only payload has a path: {word.field}:value")
        is_repeated = word.field in seen
        seen.add(word.field)
        try:
            _read(word, field, found, is_repeated=is_repeated)
        except InvalidFilterError as error:
            if error.word == word.text:
                raise
            raise InvalidFilterError(word.text, error.reason, error.suggestion) from error
        except OverflowError as error:
            raise InvalidFilterError(word.text, "is beyond the years 1 to 9999") from error
    return found


def _read(word: Word, field: str, found: dict[str, Any], *, is_repeated: bool) -> None:
    match field:
        case "flags":
            _gather(found, "without_flags" if word.is_negated else "flags", _texts(word))
        case "errors":
            _read_error(word, found)
        case "payload":
            value = None if _is_any(word) else _plain(word, _one(word))
            found[field] = (*found.get(field, ()), PayloadTest(word.path, value, word.is_negated))
        case _ if is_repeated:
            raise InvalidFilterError(word.text, f"{word.field} stands twice; several values: {word.field}:a,b")
        case "states":
            _read_states(word, found)
        case "tasks" if _is_any(word):
            raise InvalidFilterError(word.text, "every job has a task")
        case "tasks" | "queues" | "keys" | "locked_by":
            found[field] = Choice(frozenset() if _is_any(word) else frozenset(_texts(word)), word.is_negated)
        case _:
            found[field] = _read_range(word, field)


def _read_error(word: Word, found: dict[str, Any]) -> None:
    if not _is_any(word):
        _gather(found, "without_errors" if word.is_negated else "errors", [_one(word).text])
    elif found.get("has_error") == word.is_negated:
        raise InvalidFilterError(word.text, "error:* and -error:* together fit no job")
    else:
        found["has_error"] = not word.is_negated


def _read_states(word: Word, found: dict[str, Any]) -> None:
    states = frozenset[JobState]().union(*(_states(word, part) for part in word.parts))
    states = frozenset(JobState) - states if word.is_negated else states
    if not states:
        raise InvalidFilterError(word.text, "leaves no state")
    if len(states) < len(JobState):
        found["states"] = states


def _read_range(word: Word, field: str) -> NumberRange | TimeRange | frozenset[int]:
    if word.is_negated:
        turned = f"turn its sign round: {word.field}:>5 is what -{word.field}:<=5 would be"
        raise InvalidFilterError(word.text, f"cannot be negated; {turned}")
    if field == "ids" and len(word.parts) > 1:
        return frozenset(_number(word, part.text) for part in word.parts)
    if field in {"created", "run_at"}:
        return cast("TimeRange", _range(word, _time, _time_range))
    return cast("NumberRange", _range(word, _number, _number_range))


def _gather(found: dict[str, Any], field: str, values: Iterable[str]) -> None:
    found[field] = found.get(field, frozenset()) | frozenset(values)


def _is_any(word: Word) -> bool:
    return [(part.text, part.is_quoted) for part in word.parts] == [("*", False)]


def _one(word: Word) -> Part:
    if len(word.parts) != 1:
        raise InvalidFilterError(word.text, "takes one value; quote it if it has a comma")
    return word.parts[0]


def _texts(word: Word) -> list[str]:
    return [_plain(word, part) for part in word.parts]


def _plain(word: Word, part: Part) -> str:
    if not part.is_quoted and "*" in part.text:
        raise InvalidFilterError(word.text, '* alone is "any", and nothing else; quote the value if the sign is meant')
    return part.text


def _states(word: Word, part: Part) -> frozenset[JobState]:
    if part.text not in STATE_WORDS:
        known = ", ".join(STATE_WORDS)
        problem = f"there is no state {part.text!r}; there are {known}"
        raise InvalidFilterError(word.text, problem, _nearest(part.text, STATE_WORDS))
    return STATE_WORDS[part.text]


def _range(word: Word, read: Callable[[Word, str], Any], make: Callable[[str, Any, Any], Any]) -> Any:
    text = _one(word).text
    for sign in ("<=", ">=", "<", ">"):
        if text.startswith(sign):
            return make(sign, read(word, text.removeprefix(sign)), None)
    first, dots, last = text.partition("..")
    if dots:
        return make("..", read(word, first), read(word, last))
    if isinstance(point := read(word, text), timedelta | datetime):
        if not isinstance(point, datetime) or "T" in text.upper():
            raise InvalidFilterError(word.text, "is a moment: write < or > before it, or a range: a..b")
        return make("..", point, point + _DAY)
    return make("..", point, point)


def _number(word: Word, text: str) -> int:
    if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > 20:
        raise InvalidFilterError(word.text, f"{text!r} is not a whole number, or too large")
    return int(text)


def _number_range(sign: str, first: int, last: int | None) -> NumberRange:
    match sign:
        case "<":
            return NumberRange(most=first - 1)
        case "<=":
            return NumberRange(most=first)
        case ">":
            return NumberRange(least=first + 1)
        case ">=":
            return NumberRange(least=first)
    return NumberRange(first, last)


def _time(word: Word, text: str) -> TimePoint:
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidFilterError(word.text, f"{text!r} {error}") from error


def _time_range(sign: str, first: TimePoint, last: TimePoint | None) -> TimeRange:
    match sign:
        case "<":
            return TimeRange(end=first)
        case "<=":
            return TimeRange(end=first + _TICK)
        case ">":
            return TimeRange(start=first + _TICK)
        case ">=":
            return TimeRange(start=first)
    return TimeRange(first, last)


def _nearest(text: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(text.lower().replace("_", "-"), known, n=1, cutoff=0.5)), None)
