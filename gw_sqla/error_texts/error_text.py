"""What went wrong, as text for people: bounded, storable, and without the values that a library put into it.

It decides what of an error is stored or logged, wherever that is done. Errors of drivers and of SQLAlchemy are reduced
(`gw_sqla.error_texts.driver_errors`), pydantic's say where and what, without the input. A message of the user's own is
taken as it is, less what it quotes of such an error in its chain, and less secrets (`gw_sqla.error_texts.masks`).
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from itertools import islice

from pydantic import ValidationError

from gw_sqla.error_texts.driver_errors import class_name, is_of_library, quotable_texts, reduced
from gw_sqla.error_texts.masks import masked

__all__ = [
    "class_name",
    "error_text",
    "message_text",
    "only_error",
    "printable_text",
    "problems",
    "storable_text",
    "traceback_text",
]

_LONGEST = 4000
_LONGEST_MASKED = 16 * _LONGEST
"""As much of a text is looked at: what is behind it is not shown, however much the masks take out."""
_DEEPEST = 3
_MOST_PARTS = 5
_MOST_ERRORS = 20
_MOST_QUOTED = 100
_MOST_FRAMES = 50
_SHORTEST_LINE = 8

_OF_SERVER = ("DETAIL:  ", "CONTEXT:  ", "[SQL: ", "[parameters: ")
"""Where, in a text, begins what shows rows and parameters."""
_UNREADABLE = re.compile(r"(invalid input (?:syntax|value) for [^:\n]{1,100}): [^\n]*")


def error_text(error: BaseException) -> str:
    """Return the type and message of an error as text that PostgreSQL can hold, at most 4,000 characters.

    Whatever the user's classes do when they are asked for it.
    """
    return storable_text(_text(error, _DEEPEST))


def message_text(error: BaseException) -> str:
    """Return the same without the name of the error's class."""
    return storable_text(_message(error))


def storable_text(text: str) -> str:
    """Return the text without secrets and without what PostgreSQL cannot hold, cut to 4,000 characters."""
    text = printable_text(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."


def printable_text(text: str) -> str:
    """Return the text without secrets and without what PostgreSQL cannot hold, cut to 64,000 characters."""
    if len(text) > _LONGEST_MASKED:  # the last word may be a secret's beginning
        head, space, word = text[:_LONGEST_MASKED].rpartition(" ")
        text = f"{head if space else word} ..."
    return masked(text.replace("\0", "\\0").encode(errors="backslashreplace").decode())


def traceback_text(error: BaseException) -> str:
    """Return the tracebacks of an error, its parts and its causes, for a log; their messages as in `error_text`.

    Bounded: of a group the first parts, of a chain the first links, each error once.
    """
    parts: list[str] = []
    _add_tracebacks(error, parts, set(), "")
    return "".join(parts)


def only_error(error: BaseException) -> BaseException:
    """Return the error, or what alone is in a group, however deep; a group of several is itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def problems(error: ValidationError) -> str:
    """The errors in one line: where and what, without the input, which may be a secret."""
    shown = error.errors(include_input=False, include_url=False, include_context=False)[:5]
    parts = [f"{'.'.join(str(step) for step in item['loc']) or 'value'}: {item['msg']}" for item in shown]
    more = error.error_count() - len(shown)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _text(error: BaseException, depth: int) -> str:
    name = class_name(error)
    try:
        message = _message(error)
        if isinstance(error, BaseExceptionGroup) and depth:
            inner = [_text(part, depth - 1) for part in error.exceptions[:_MOST_PARTS]]
            message = f"{message}: {'; '.join(inner)}"
    except BaseException as broken:  # of an exception class of the user's, whatever it is
        message = f"(its text cannot be made: {class_name(broken)})"
    return f"{name}: {message}" if message else name


def _add_tracebacks(error: BaseException, parts: list[str], seen: set[int], lead: str) -> None:
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < _MOST_ERRORS:
        seen.add(id(link))
        frames = traceback.format_tb(link.__traceback__, -_MOST_FRAMES)
        parts += [lead, masked("".join(frames)), error_text(link)]
        if isinstance(link, BaseExceptionGroup):
            for part in link.exceptions[:_MOST_PARTS]:
                _add_tracebacks(part, parts, seen, "\nin it ")
        lead = "\nafter "
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return f"{error.title}: {problems(error)}"
    if is_of_library(error):
        return reduced(error)
    text = str(error)
    quoted = list(islice(_quotable(error), _MOST_QUOTED + 1))
    if len(quoted) > _MOST_QUOTED:
        return "(its message may quote more errors than are looked at)"
    for one in quoted:
        text = _without_quotes(text, one)
    ends = [place for place in map(text.find, _OF_SERVER) if place >= 0]
    text = text[: min(ends)].rstrip() if ends else text
    return _UNREADABLE.sub(r"\1", text)


def _quotable(error: BaseException) -> Iterator[BaseException]:
    """Yield those of an error's chain, groups and arguments whose texts are not shown."""
    left, seen = [error], {id(error)}
    while left:
        link = left.pop()
        if isinstance(link, ValidationError) or is_of_library(link):
            yield link
        inner = [link.__cause__, link.__context__, getattr(link, "orig", None), *_held(link.args)]
        if isinstance(link, BaseExceptionGroup):
            inner += link.exceptions
        for one in inner:
            if isinstance(one, BaseException) and id(one) not in seen:
                seen.add(id(one))
                left.append(one)


def _held(value: object, depth: int = 2 * _DEEPEST) -> Iterator[object]:
    """Yield a value, or what is in it where it is a collection."""
    if depth and isinstance(value, list | tuple | set | frozenset | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _held(one, depth - 1)
    else:
        yield value


def _without_quotes(text: str, quoted: BaseException) -> str:
    """The text with what it quotes of an error replaced, the longest first; lines by themselves, and as in a repr.

    What is short, such as a number or a letter, where it stands by itself: it is in other words by chance.
    """
    texts = set(quotable_texts(quoted))
    texts |= {line for one in texts for line in one.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    texts |= {repr(one)[1:-1] for one in texts}
    text = text.replace("\0", "\\0")
    for one in sorted(filter(None, texts), key=len, reverse=True):
        text = text.replace(one, "\0") if len(one) >= _SHORTEST_LINE else _by_itself(one).sub("\0", text)
    return text.replace("\0", problems(quoted) if isinstance(quoted, ValidationError) else reduced(quoted) or "...")


def _by_itself(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
