"""Secrets in texts: passwords of URLs, and what stands behind a name such as ``password=``.

Texts are as long as an application likes, and hostile at times. So a word is looked at once, and no expression here can
try two ways of reading the same text: the time grows with its length, not faster.
"""

from __future__ import annotations

import re

__all__ = ["masked"]

_MASK = "***"

_WORD_WITH_URL = re.compile(r"\S+")

_PORT = re.compile(r"[0-9]{1,5}(?![^/?#,;'\")\]}>.:])")
"""What is behind a colon and is no password: a port, and then nothing or an end of it."""

_NAMED = re.compile(
    r"""(?xi)
    ( pass(?:word|wd|phrase) | pwd | secret (?:_?key)? | token | api_?key | access_?key )
    ( ["']? [ ]? = [ ]? | \\{0,3}["'] [ ]? : [ ]? )
    (?: \\{1,3}["'][^"'\\]* | "(?:[^"\\]|\\.)*(?:"|\\?\Z) | '(?:[^'\\]|\\.)*(?:'|\\?\Z) | [^\s&,;"')}\]]+ )
    """,
    re.DOTALL,
)
_BEARER = re.compile(r"""(?i)\b(bearer |authorization["']?: ?["']?basic )[\w.~+/=-]+""")


def masked(text: str) -> str:
    """Return the text with ``***`` in place of its secrets, as far as they can be told; rather more than less."""
    if "://" in text:
        text = _WORD_WITH_URL.sub(lambda word: _without_password(word[0]), text)
    if "=" in text or ":" in text:
        text = _NAMED.sub(rf"\1\2{_MASK}", text)
    return _BEARER.sub(rf"\1{_MASK}", text)


def _without_password(word: str) -> str:
    """The word with what stands between its user and its host masked; to its end, where it has no host."""
    scheme, slashes, rest = word.partition("://")
    if not slashes:
        return word
    user, colon, tail = rest.partition(":")
    if not colon:
        return word
    _, at, host = tail.rpartition("@")
    if at:
        return f"{scheme}://{user}:{_MASK}@{host}"
    if "/" in user or "?" in user or user.startswith("[") or _PORT.match(tail):
        return word
    return f"{scheme}://{user}:{_MASK}"
