"""Links of the pages, which are written to be read in the repository, made to lead somewhere on the site.

A link to another page stays. One to a file of the repository beside docs/ becomes a download of that file, as an
example or a test is read best as it is; one to a folder becomes its text. README.md and its like, which
docs/project/ includes, are pages of the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["INCLUDED", "ROOT", "included", "relinked", "with_pages_only"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INCLUDED = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security-policy.md",
}
"""Files at the root of the repository, and the pages of the site that have their text."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]+)(#[^()\s]*)?\)")
_PATTERN = re.compile(r"^([\w\-/]*\*)\n", re.MULTILINE)
_INCLUDE = re.compile(r"^<!-- text of \.\./\.\./(\w+\.md) -->$", re.MULTILINE)


def included(text: str) -> tuple[str, Path] | None:
    """Return the text of the file that a page of docs/project/ stands for, and its folder; None for other pages."""
    found = _INCLUDE.search(text)
    return ((ROOT / found.group(1)).read_text("utf-8"), ROOT) if found else None


def relinked(text: str, *, written_in: Path, page: Path) -> str:
    """Return the text of a page with its links as the site needs them.

    Parameters: ``written_in``, the folder to which its links are relative; ``page``, the file of the page.
    """

    def link(found: re.Match[str]) -> str:
        picture, label, target, anchor = found.groups("")
        there = (written_in / target).resolve()
        if "://" in target or not there.exists():
            return found.group()
        if there.is_dir():
            return label
        if there.parent == ROOT and there.name in INCLUDED:
            there = DOCS / INCLUDED[there.name]
        return f"{picture}[{label}]({os.path.relpath(there, page.parent)}{anchor})"

    return _LINK.sub(link, text)


def with_pages_only(text: str, folder: Path) -> str:
    """Return the text of a page without those patterns of its navigation to which no page of ``folder`` fits."""
    return _PATTERN.sub(lambda found: found.group() if any(folder.glob(f"{found.group(1)}.*")) else "", text)
