"""Text for a terminal and for a shell: in one line, without what would act on the terminal, quoted to be typed again.

Names, errors and payloads are other people's: what is in them must not move the cursor, set the title or fill the
clipboard of who looks at them.
"""

from __future__ import annotations

import shlex

__all__ = ["counted", "printable", "printable_lines", "shell_word"]

_LAYOUT = "\n\t"


def printable(text: str) -> str:
    """Return the text in one line, with what would act on a terminal escaped."""
    return "".join(_escaped(character) for character in text)


def printable_lines(text: str) -> str:
    """Return the text with what would act on a terminal escaped, but for the ends of lines and tabs."""
    return "".join(character if character in _LAYOUT else _escaped(character) for character in text)


def shell_word(text: str) -> str:
    """Return the text as a shell takes it for one word; with ``$'...'`` (bash, zsh) where it cannot be printed."""
    if text.isprintable():
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(quoted)}'"


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 job`` or ``1,000 jobs``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
