"""constraints.txt, to which nox holds what it installs, has everything that is asked for, each with hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
AGAIN = "run: nox -s pin"


def pins(text: str) -> dict[str, list[tuple[str, int]]]:
    """Return the versions of each name, and how many hashes each has."""
    found: dict[str, list[tuple[str, int]]] = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        requirement = Requirement(block.partition("\\\n")[0].strip())
        [version] = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), []).append(
            (version.version, block.count("--hash=sha256:"))
        )
    return found


def asked_for() -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)]
    extras = [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    for text in [*project["project"]["dependencies"], *extras, *groups, *project["build-system"]["requires"]]:
        if not text.startswith("gw-sqla"):
            yield Requirement(text)


def test_all_that_is_asked_for_is_pinned() -> None:
    pinned = pins((ROOT / "constraints.txt").read_text())
    for wanted in asked_for():
        versions = pinned.get(canonicalize_name(wanted.name))
        assert versions, f"{wanted.name} is not in constraints.txt; {AGAIN}"
        assert all(wanted.specifier.contains(version) for version, _ in versions), f"{wanted}: {AGAIN}"


def test_every_pin_has_hashes_and_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert [name for name, versions in pins(text).items() if not all(hashes for _, hashes in versions)] == []
    assert "://" not in text
    assert "--index" not in text
