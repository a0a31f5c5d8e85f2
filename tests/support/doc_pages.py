"""Pages of the docs do what they say: their fenced blocks are run, in order, on a database of the page's own.

    python, first line "# name.py"   is written to that file; folders are made
    python                           is run; top-level await works, names stay for the blocks after it
    text                             what the python block before it printed
    console                          its "$ " lines are run by the shell, what follows them is their output;
                                     "$ export NAME=value" stays for the lines after it
    console title="..."              a terminal of its own: its command goes on while the page does, until the page ends
                                     or the terminal is named again (Ctrl-C, also shown as "^C"); what follows it is
                                     what it prints by then, and without a command, what it has printed by now
    sql                              is run
    crontab                          is written to the file crontab
    ini, first line "# name"         is written to that file
    sh, ini, js, rust, mermaid, ... is not run: what a reader does once, or another language

Output is compared exactly, but "..." stands for anything. Log lines (standard error) are not compared. Port 8000 stands
for one that is free.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import io
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.support.doc_terminal import Terminal, wait_for_port
from tests.support.server import execute

__all__ = ["Block", "Page", "blocks", "compiled"]

_BLOCK = re.compile(r'^```(\w*)(?: title="([^"\n]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w/.]+\.(?:py|ini|service|toml))\n")
_PORT = re.compile(r"((?:localhost|127\.0\.0\.1):|--port )8000\b")
_EXPORT = re.compile(r"export (\w+)=(.*)")
_NOT_RUN = {"sh", "ini", "js", "rust", "mermaid", "yaml", "nginx"}


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is the number of its first line of text on the page, ``terminal`` its title."""

    kind: str
    text: str
    line: int
    terminal: str = ""


def blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    for found in _BLOCK.finditer(text):
        yield Block(found.group(1), found.group(3), text.count("\n", 0, found.start(3)) + 1, found.group(2) or "")


class Page:
    """Runs blocks in a directory and on a database; those of several pages, where one goes on from the other."""

    def __init__(self, path: Path, directory: Path, url: str, runner: asyncio.Runner) -> None:
        self.path = path
        self._directory = directory
        self._url = url
        self._runner = runner
        self._printed = ""
        self._terminals: dict[str, Terminal] = {}
        self._port = _free_port()
        self._environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        """Run one block; fails the test where it does not do what it says."""
        match block.kind:
            case "python" | "ini" if named := _FILE.match(block.text):
                file = self._directory / named.group(1)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, "utf-8")
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
                assert kind in _NOT_RUN, f"{self.path.name}, line {block.line}: a block of kind {kind!r}"

    def close(self) -> None:
        """End what runs in terminals, the last one first, and dispose of the page's ``engine``."""
        for terminal in reversed(self._terminals.values()):
            terminal.end()
        if "engine" in self.names:
            self._runner.run(self.names["engine"].dispose())

    def _run_python(self, block: Block) -> str:
        code = compiled(block, self.path)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            waiting = eval(code, self.names)
            if waiting is not None:
                self._runner.run(waiting)
        return printed.getvalue()

    def _run_console(self, block: Block) -> None:
        text = _PORT.sub(rf"\g<1>{self._port}", block.text)
        if block.terminal and not text.startswith("$ "):
            self._look_at_terminal(block, text)
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            if block.terminal:
                self._run_in_terminal(block, command, expected)
                continue
            if exported := _EXPORT.fullmatch(command):
                command = f"printf '%s' {exported.group(2)}"
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._directory,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            if exported:
                self._environment[exported.group(1)] = done.stdout
            else:
                self._compare(block.line, expected, done.stdout, f"$ {command}\n{done.stderr}")

    def _run_in_terminal(self, block: Block, command: str, expected: str) -> None:
        if older := self._terminals.pop(block.terminal, None):
            older.end()
        terminal = Terminal(command, self._directory, self._environment)
        self._terminals[block.terminal] = terminal
        if f"--port {self._port}" in command:
            wait_for_port(self._port)
        terminal.wait_until(lambda printed: _fits(expected, printed))
        self._compare(block.line, expected, terminal.printed, f"$ {command}\n{terminal.errors}")

    def _look_at_terminal(self, block: Block, expected: str) -> None:
        if expected == "^C\n":
            self._terminals.pop(block.terminal).end()
            return
        terminal = self._terminals[block.terminal]
        terminal.wait_until(lambda printed: _fits(expected, printed))
        self._compare(block.line, expected, terminal.printed, terminal.errors)

    def _compare(self, line: int, expected: str, printed: str, context: str = "") -> None:
        if not _fits(expected, printed):
            pytest.fail(f"{self.path.name}, line {line}:\n{context}\nit says\n{expected}\nit printed\n{printed}")


def _fits(expected: str, printed: str) -> bool:
    if printed and not printed.endswith("\n"):
        printed += "\n"  # a page cannot show that the last line has no end
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def compiled(block: Block, path: Path) -> CodeType:
    """Compile a python block, with its place on the page for tracebacks."""
    tree = ast.parse("\n" * (block.line - 1) + block.text, str(path))
    code: CodeType = compile(tree, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code
