"""The embedded PostgreSQL goes with its program, however that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from gw_sqla.database.embedded import embedded_postgres
with embedded_postgres() as url:
    print(url.query["host"], flush=True)
    if sys.argv[1] == "stay":
        time.sleep(1000)
"""


def start(what: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, what], stdout=subprocess.PIPE, text=True)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_killed_leaves_nothing(number: signal.Signals) -> None:
    with start("stay") as program:
        assert program.stdout is not None
        data = Path(program.stdout.readline().strip())
        server = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(program.pid, number)
        assert program.wait() == -number
    deadline = time.monotonic() + 30
    while is_there(server) or data.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_ends_leaves_nothing() -> None:
    """Nor does it wait for anything, nor say anything."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, "go"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert not Path(done.stdout.strip()).exists()
