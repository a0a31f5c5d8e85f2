"""Cuts the text of a filter into words: ``[-]field[.path]:value[,value]``, quoted where they need it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gw_sqla.errors import InvalidFilterError

__all__ = ["Part", "Word", "quoted", "words"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_WORD = re.compile(rf'(?:{_QUOTED}|[^\s"])+', re.DOTALL)
_PART = re.compile(rf'{_QUOTED}|(?:[^",\\]|\\)+', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STEP = re.compile(rf'({_QUOTED}|[^".:]+)', re.DOTALL)
_PLAIN_PART = re.compile(r'[^\s",*\\<>=]+')
_PLAIN_STEP = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the values of a word; ``is_quoted``: it stood in quotes, and means its characters."""

    text: str
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A word: its text as it stands there, its field, for payloads the path, its values."""

    text: str
    is_negated: bool
    field: str
    path: tuple[str, ...]
    parts: tuple[Part, ...]


def words(text: str) -> list[Word]:
    """Return the words; raises InvalidFilterError for one that is none."""
    found: list[Word] = []
    end = 0
    while end < len(text):
        if text[end].isspace():
            end += 1
            continue
        match = _WORD.match(text, end)
        if match is None or (match.end() < len(text) and text[match.end()] == '"'):
            raise InvalidFilterError(text[end : end + 40], "a quote is not closed")
        found.append(_word(match[0]))
        end = match.end()
    return found


def quoted(text: str, *, is_step: bool = False) -> str:
    """Return the text as a value (or as a step of a path), in quotes where it needs them."""
    plain = _PLAIN_STEP if is_step else _PLAIN_PART
    if plain.fullmatch(text) and ".." not in text:
        return text
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'


def _word(text: str) -> Word:
    rest = text.removeprefix("-")
    match = re.match(r"[A-Za-z_-]+", rest)
    if match is None or match.end() == len(rest) or rest[match.end()] not in ":.":
        shown = quoted(rest.replace('"', ""))
        raise InvalidFilterError(text, f"is no condition (field:value); to look for it in errors, write error:{shown}")
    field, end = match[0], match.end()
    path: list[str] = []
    while end < len(rest) and rest[end] == ".":
        step = _STEP.match(rest, end + 1)
        if step is None:
            raise InvalidFilterError(text, "the path has an empty step; write it in quotes if it is meant")
        path.append(_unquoted(step[0]))
        end = step.end()
    if end >= len(rest) or rest[end] != ":":
        raise InvalidFilterError(text, "has no value: a colon and a value follow the field")
    return Word(text, text != rest, field, tuple(path), _parts(text, rest[end + 1 :]))


def _parts(word: str, values: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    end = 0
    while True:
        match = _PART.match(values, end)
        if match is None:
            raise InvalidFilterError(word, 'a value is missing; write "" if the empty one is meant')
        parts.append(Part(_unquoted(match[0]), match[0].startswith('"')))
        end = match.end()
        if end == len(values):
            return tuple(parts)
        if values[end] != ",":
            raise InvalidFilterError(word, "text stands beside a quoted value: quote the whole value")
        end += 1


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text
