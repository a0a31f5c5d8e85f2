"""Runs the command in a process of its own, and looks at the database from outside."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from gw_sqla.cli.main import main
from tests.support.forks import fork
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
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode() if isinstance(stdin, str) else stdin)
        given.seek(0)
        numbers = [DupFd(stream.fileno()) for stream in (given, out, err)]
        process = fork(_as_a_program, arguments, environment(env), str(cwd), numbers)
        process.join(_LONGEST)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(arguments, _LONGEST)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, process.exitcode or 0, out.read().decode(), err.read().decode())


def _as_a_program(arguments: Sequence[str], env: Mapping[str, str], cwd: str, numbers: Sequence[Any]) -> None:
    for standard, number in enumerate(numbers):
        os.dup2(number.detach(), standard)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = ["gw_sqla", *arguments]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.exit(main())


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
    """A command that runs; its standard error is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_for(self, text: str, stream: str = "stderr") -> str:
        """Read lines until one has the text, and return it; fail if the command ends before."""
        seen = []
        for line in getattr(self.process, stream):
            seen.append(line)
            if text in line:
                return str(line)
        raise AssertionError(f"{text!r} did not appear in: {''.join(seen)}")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what else was written to standard error."""
        _, rest = self.process.communicate()
        return self.process.returncode, rest


@contextmanager
def started(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Start ``python -m gw_sqla``; kill it at the end of the block, or when it hangs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gw_sqla", *arguments],
        env=environment(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(_LONGEST, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield Started(process)
            finally:
                process.kill()
    finally:
        watchdog.cancel()


def fetch(url: str, sql: str, *arguments: Any) -> list[dict[str, Any]]:
    """Run a query on a connection of its own and return its rows."""

    async def query() -> list[dict[str, Any]]:
        connection = await connect(url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(query())
