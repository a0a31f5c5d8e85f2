"""Runs a program on a terminal of its own, and reads what that shows."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from tests.cli.command import ROOT, environment

LONGEST = 120
"""Seconds after which a program on a terminal counts as hanging, on a busy machine too."""


def on_terminal(
    *arguments: str, columns: int = 80, env: Mapping[str, str] | None = None, types: str = ""
) -> tuple[int, str]:
    """Run Python on a terminal on which ``types`` was typed; return the exit code and what is to be seen there."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminals here: {error}")  # a chroot without /dev/pts
    try:
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment({"TERM": "xterm", "COLUMNS": str(columns), **(env or {})}),
            cwd=ROOT,
        )
        os.close(theirs)
        watchdog = threading.Timer(LONGEST, process.kill)
        watchdog.start()
        os.write(ours, types.encode())
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        code = process.wait(timeout=LONGEST)
        watchdog.cancel()
        return code, shown.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
