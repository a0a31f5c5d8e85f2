"""README.md and docs/ do what they say: `tests.support.doc_pages` runs their blocks and compares what they print."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.doc_pages import Page, blocks
from tests.support.server import Server

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = sorted((DOCS / "tutorial").glob("*.md"))
"""Each page goes on where the one before ended."""
PAGES = [ROOT / "README.md", *sorted(set(DOCS.rglob("*.md")) - set(TUTORIAL))]

_LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def name(path: Path) -> str:
    """A page's name in the list of tests."""
    return str(path.relative_to(DOCS)) if path.is_relative_to(DOCS) else path.name


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """The URL of a database that nobody has migrated."""
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def desk() -> Iterator[Path]:
    """An empty directory that all may enter, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def as_reader(empty_database: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sit down where a reader sits: an empty directory, DATABASE_URL set, `python` on the path."""
    monkeypatch.chdir(desk)
    monkeypatch.setenv("DATABASE_URL", empty_database.replace("postgresql+asyncpg://", "postgresql://"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(desk))
    return empty_database


@pytest.mark.parametrize("path", [page for page in PAGES if any(blocks(page.read_text("utf-8")))], ids=name)
def test_page_does_what_it_says(path: Path, as_reader: str, desk: Path) -> None:
    with asyncio.Runner() as runner, closing(Page(path, desk, as_reader, runner)) as page:
        for block in blocks(path.read_text("utf-8")):
            page.run(block)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.timeout(1800)  # some thirty programs are started, one after another
def test_tutorial_does_what_it_says(as_reader: str, desk: Path) -> None:
    """From an empty folder, on the server that its first step starts."""
    with asyncio.Runner() as runner, closing(Page(TUTORIAL[0], desk, as_reader, runner)) as page:
        for page.path in TUTORIAL:
            for block in blocks(page.path.read_text("utf-8")):
                page.run(block)


@pytest.mark.parametrize(
    "path",
    [*PAGES, *TUTORIAL, *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))],
    ids=name,
)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_examples_are_all_named() -> None:
    names = {path.name for path in (ROOT / "examples").glob("*.py")} - {"__init__.py"}
    pages = "".join(path.read_text() for path in PAGES)
    assert names <= set(re.findall(r"\w+\.py", pages))
