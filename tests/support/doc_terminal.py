"""A terminal beside the one in which a page of the docs is worked through."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Terminal", "wait_for_port"]

_PATIENCE_SECONDS = 60
_LOOK_SECONDS = 0.05


class Terminal:
    """A command that goes on, in a process group of its own, and what it has printed."""

    def __init__(self, command: str, directory: Path, environment: Mapping[str, str]) -> None:
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - end closes both
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )

    @property
    def printed(self) -> str:
        """Its standard output by now."""
        return _content(self._out.fileno())

    @property
    def errors(self) -> str:
        """Its standard error by now."""
        return _content(self._err.fileno())

    def wait_until(self, is_enough: Callable[[str], bool]) -> None:
        """Wait until what it printed is enough, it has ended, or patience has."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_enough(self.printed) and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def end(self) -> None:
        """Press Ctrl-C, and wait until it has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(_PATIENCE_SECONDS)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._out.close()
            self._err.close()


def wait_for_port(port: int) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _content(descriptor: int) -> str:
    return os.pread(descriptor, 1_000_000, 0).decode()
