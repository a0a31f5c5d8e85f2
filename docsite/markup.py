"""The little of reStructuredText that the pages of the reference are written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import indent

__all__ = ["code", "literal", "section", "table", "title"]


def title(text: str, introduction: str) -> str:
    """Return the head of a page."""
    return f"{text}\n{'=' * len(text)}\n\n{introduction}\n"


def section(text: str) -> str:
    """Return a heading below the page's."""
    return f"\n{text}\n{'-' * len(text)}\n"


def code(text: object) -> str:
    """Return it as code in a line; nothing for nothing."""
    return f"``{text}``" if str(text) else ""


def literal(text: str, kind: str = "text") -> str:
    """Return a block of text as it is."""
    return f"\n.. code-block:: {kind}\n\n{indent(text.rstrip(), '   ')}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may have more than one line."""
    lines = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            mark = "   * - " if number == 0 else "     - "
            first, *rest = cell.splitlines() or [""]
            lines += [f"{mark}{first}".rstrip(), *(f"       {line}".rstrip() for line in rest)]
    return "\n".join([*lines, ""])
