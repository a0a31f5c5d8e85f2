"""Errors that differ only in the values they name are the same: their first lines, with the values taken out."""

from __future__ import annotations

import re

__all__ = ["normalised"]

_VALUES = re.compile(
    r"""(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    |(?P<text>"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`)
    |(?P<hex>\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b)
    |(?P<n>\d+(?:[.,:]\d+)*)""",
    re.IGNORECASE | re.VERBOSE,
)


def normalised(line: str) -> str:
    """Return the line with ``<uuid>``, ``<text>``, ``<hex>`` and ``<n>`` in place of such values."""
    return _VALUES.sub(lambda match: f"<{match.lastgroup}>", line.strip())
