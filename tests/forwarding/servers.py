"""Brokers of the tests' own, as Debian packages them, on loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DEADLINE = 60.0
"""Seconds that it may take to start; nothing waits so long unless it is broken."""


def program(name: str, package: str) -> str:
    """Return the path of a program; skips the test where it is not installed, and fails it in CI."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        said = f"{name} is not installed (Debian: apt-get install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return path


def free_port() -> int:
    """Return a loopback port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Broker:
    """A broker process that may be killed and started again, at its port, with what it has stored."""

    def __init__(self, command: Callable[[Path], list[str]], port: int, directory: Path) -> None:
        self.port = port
        self._command = command(directory)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = (self._directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self._directory / "log").read_text()
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it accept connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def running(command: Callable[[int, Path], list[str]]) -> Iterator[Broker]:
    """Run a broker in a directory of its own while the block runs; ``command`` is made of port and directory."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gw_sqla-") as directory:
        broker = Broker(lambda path: command(port, path), port, Path(directory))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


def redis_command(port: int, directory: Path) -> list[str]:
    """Return the command of a Redis that loses nothing when it is killed."""
    path = program("redis-server", "redis-server")
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "yes", "dir": directory}
    return [path, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
