"""Runs the command in a process of its own, and looks at the database from outside."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from gw_sqla.cli.main import main
from tests.support.forks import Program, run_program
from tests.support.server import connect

ROOT = Path(__file__).parents[2]
APP = "tests.cli.app:tasks"
_LONGEST = 60
"""Seconds after which a command counts as hanging."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would configure the command, plus ``extra``."""
    ours = ("GW_SQLA_", "DATABASE_URL", "GRAPHILE_WORKER_", "PG", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(extra or {})


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str | bytes = b"", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a process that does what ``python -m gw_sqla`` would."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    return run_program("gw_sqla", *arguments, env=environment(env), cwd=cwd, stdin=given)


def python(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str | bytes = b"", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(env),
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=_LONGEST,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_here(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command in this process, for what is decided before the event loop begins: it is quicker."""
    out, err = io.StringIO(), io.StringIO()
    previous, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    finally:
        sys.stdin = previous
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def error_line(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Assert that the command ended with this code and one line of error, and return the line."""
    lines = result.stderr.splitlines()
    assert result.returncode == code, result
    assert len(lines) == 1, result
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in result.stderr
    return lines[0]


class Started:
    """A command that runs; its output is read line by line."""

    def __init__(self, process: Program, stdout: TextIO, stderr: TextIO) -> None:
        self.process = process
        self.stdout = stdout
        self.stderr = stderr

    def wait_for(self, text: str, stream: str = "stderr") -> str:
        """Read lines until one has the text, and return it; fail if the command ends before."""
        seen = []
        for line in getattr(self, stream):
            seen.append(line)
            if text in line:
                return str(line)
        raise AssertionError(f"{text!r} did not appear in: {''.join(seen)}")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what else was written to standard error."""
        rest = self.stderr.read()
        return self.process.wait(), rest


@contextmanager
def started(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Start the command; kill it at the end of the block, or when it hangs."""
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    with open(out) as stdout, open(err) as stderr:  # noqa: PTH123 - no paths
        with open(to_out, "wb") as for_out, open(to_err, "wb") as for_err:  # noqa: PTH123 - no paths
            process = Program("gw_sqla", *arguments, env=environment(env), cwd=ROOT, stdout=for_out, stderr=for_err)
        watchdog = threading.Timer(_LONGEST, process.kill)
        watchdog.start()
        try:
            yield Started(process, stdout, stderr)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()


def fetch(url: str, sql: str, *arguments: Any) -> list[dict[str, Any]]:
    """Run a query on a connection of its own and return its rows."""

    async def query() -> list[dict[str, Any]]:
        connection = await connect(url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(query())
