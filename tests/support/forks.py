"""Processes for the tests, as forks of one that has imported what they need and done nothing else.

A new interpreter takes half a second to import SQLAlchemy, asyncpg and pydantic; a fork has them. There is one such
process for a test process, so what is imported beforehand is listed here.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Program", "fork", "run_program"]

_LONGEST = 60
"""Seconds after which a program counts as hanging."""

_IMPORTED = [
    "alembic.autogenerate",
    "alembic.config",
    "gw_sqla.cli.migrate",
    "gw_sqla.cli.worker",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "tests.execution.killed_worker",
    "trio",
]


def fork(target: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process that calls a module's function with arguments that can be pickled; the caller waits for it."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(_IMPORTED)
    process = forks.Process(target=target, args=arguments)
    process.start()
    return process


class Program:
    """What ``python -m module arguments`` would be, with the methods of a subprocess.Popen.

    ``env`` is its whole environment. Its standard streams are the files that are given, else nothing.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        env: Mapping[str, str],
        cwd: Path,
        stdin: BinaryIO | None = None,
        stdout: BinaryIO | None = None,
        stderr: BinaryIO | None = None,
    ) -> None:
        self.args = [module, *arguments]
        with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 - no path
            streams = [DupFd((stream or nothing).fileno()) for stream in (stdin, stdout, stderr)]
        self._process = fork(_be_program, self.args, dict(env), str(cwd), streams)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, for so many seconds at most; return its exit code."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run_program(
    module: str, *arguments: str, env: Mapping[str, str], cwd: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        program = Program(module, *arguments, env=env, cwd=cwd, stdin=given, stdout=out, stderr=err)
        try:
            code = program.wait(_LONGEST)
        finally:
            program.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(program.args, code, out.read().decode(), err.read().decode())


def _be_program(words: Sequence[str], env: Mapping[str, str], cwd: str, streams: Sequence[Any]) -> None:
    for standard, stream in enumerate(streams):
        os.dup2(stream.detach(), standard)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = list(words)
    sys.stdin = os.fdopen(0, closefd=False)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
