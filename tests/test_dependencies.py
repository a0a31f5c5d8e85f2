"""docs/project/dependencies.md has each dependency, its extra and its lower bound, as pyproject.toml has them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_ALWAYS = re.compile(r"^\| ([\w\-]+) \| ([\d.]+) \| \S.+ \|$", re.MULTILINE)
_BY_EXTRA = re.compile(r"^\| ([\w\-]+) \| `(\w+)` \| ([\d.]+) \| \S.+ \|$", re.MULTILINE)


def bounds(texts: list[str]) -> list[tuple[str, str]]:
    """Return name and lower bound of each; it is the only bound."""
    found = []
    for text in texts:
        wanted = Requirement(text)
        [least] = wanted.specifier
        assert least.operator == ">="
        found.append((wanted.name, least.version))
    return found


def test_the_page_says_what_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs/project/dependencies.md").read_text("utf-8")
    assert _ALWAYS.findall(page) == bounds(project["dependencies"])
    extras = [
        (name, extra, least)
        for extra, texts in project["optional-dependencies"].items()
        for name, least in bounds(texts)
    ]
    assert _BY_EXTRA.findall(page) == extras
