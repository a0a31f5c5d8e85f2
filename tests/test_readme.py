"""README.md and docs/ with its folders do what they say: their fenced blocks are run, in order, on a database each.

    python, first line "# name.py"   is written to that file
    python                           is run; top-level await works, names stay for the blocks after it
    text                             what the python block before it printed
    console                          its "$ " lines are run by the shell, what follows them is their output
    sql                              is run
    crontab                          is written to the file crontab
    sh, ini, js, rust, mermaid       is not run: what a reader does once, or another language

Output is compared exactly, but "..." stands for anything. Log lines (standard error) are not compared.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from gw_sqla.admin import ScanLimits
from tests.support.server import Server, execute

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n")
_LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")
_NOT_RUN = {"sh", "ini", "js", "rust", "mermaid"}


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is the number of its first line of text on the page."""

    kind: str
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    for found in _BLOCK.finditer(text):
        yield Block(found.group(1), found.group(2), text.count("\n", 0, found.start(2)) + 1)


class Page:
    """Runs the blocks of one page in a directory and on a database."""

    def __init__(self, path: Path, directory: Path, url: str, runner: asyncio.Runner) -> None:
        self._path = path
        self._directory = directory
        self._url = url
        self._runner = runner
        self._printed = ""
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        """Run one block; fails the test where it does not do what it says."""
        match block.kind:
            case "python" if named := _FILE.match(block.text):
                (self._directory / named.group(1)).write_text(block.text, "utf-8")
            case "python":
                self._printed = self._run_python(block)
            case "text":
                self._compare(block.line, block.text, self._printed)
            case "console":
                self._run_console(block)
            case "sql":
                self._runner.run(execute(self._url, block.text))
            case "crontab":
                (self._directory / "crontab").write_text(block.text, "utf-8")
            case kind:
                assert kind in _NOT_RUN, f"{self._path.name}, line {block.line}: a block of kind {kind!r}"

    def _run_python(self, block: Block) -> str:
        code = compiled(block, self._path)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            waiting = eval(code, self.names)
            if waiting is not None:
                self._runner.run(waiting)
        return printed.getvalue()

    def _run_console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._directory,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            self._compare(block.line, expected, done.stdout, f"$ {command}\n{done.stderr}")

    def _compare(self, line: int, expected: str, printed: str, context: str = "") -> None:
        if not doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS):
            pytest.fail(f"{self._path.name}, line {line}:\n{context}\nit says\n{expected}\nit printed\n{printed}")


def compiled(block: Block, path: Path) -> CodeType:
    """Compile a python block, with its place on the page for tracebacks."""
    tree = ast.parse("\n" * (block.line - 1) + block.text, str(path))
    code: CodeType = compile(tree, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """The URL of a database that nobody has migrated."""
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def as_reader(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sit down where a reader sits: an empty directory, DATABASE_URL set, `python` on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_database.replace("postgresql+asyncpg://", "postgresql://"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(tmp_path))
    patient = partial(ScanLimits, timeout=timedelta(seconds=30))  # a busy machine's database answers later
    for module in ("admin", "sync_admin"):
        monkeypatch.setattr(f"gw_sqla.admin.{module}.ScanLimits", patient)
    return empty_database


def name(path: Path) -> str:
    """Return the path of a page as a test's name, from docs/ on."""
    return path.relative_to(ROOT).as_posix().removeprefix("docs/")


RUN = [path for path in PAGES if any(blocks(path.read_text("utf-8")))]


@pytest.mark.parametrize("path", RUN, ids=name)
def test_page_does_what_it_says(path: Path, as_reader: str, tmp_path: Path) -> None:
    found = list(blocks(path.read_text("utf-8")))
    with asyncio.Runner() as runner:
        page = Page(path, tmp_path, as_reader, runner)
        try:
            for block in found:
                page.run(block)
        finally:
            if "engine" in page.names:
                runner.run(page.names["engine"].dispose())


@pytest.mark.parametrize(
    "path",
    [*PAGES, *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))],
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
    assert names <= set(re.findall(r"\w+\.py", (ROOT / "README.md").read_text()))
