"""One run of a program: its streams, its end, and the end of all that it has started.

It runs in a process group of its own (a session: a terminal's Ctrl-C does not reach it). At its timeout, or when the
run is cancelled, the group gets SIGTERM, and what of it is left after a while SIGKILL; its streams are read until
then, so that it can say its last words. A program that ends by itself has ended; what it leaves behind with its
standard streams has some seconds to let go of them, and is killed then: Graphile Worker's job would wait for it.

Rejected: a task's own timeout and cancellation scope around this: the text of the error would lack what the program
said. `anyio.run_process`: it kills the program alone, at once, and keeps all of its output.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import Process

from gw_sqla.execution.program_output import ProgramOutput

__all__ = ["ProgramEnd", "run_program"]

_SHELL = "/bin/sh"
"""What runs a file that is neither a program nor says by ``#!`` what runs it, as POSIX's execvp does."""

_LOOK_INTERVAL = 0.1
"""Seconds between two looks whether a process has ended: asyncio's wait() may wait for its pipes too."""

_LEFT_BEHIND_TIMEOUT = 5.0
"""Seconds for which what a program has started may hold its streams when it has ended."""

_KILLED_TIMEOUT = 10.0
"""Seconds for which a process may take to end when it was killed."""

_CLOSING_TIMEOUT = 1.0
"""Seconds for which the streams of an ended process may take to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnd:
    """How a program ended.

    ``exit_code``: negative where a signal killed it, None where not even SIGKILL did. ``error_tail``: the last 16,000
    bytes of its standard error, from the beginning of a line or word on.
    """

    exit_code: int | None
    timed_out: bool
    error_tail: str


async def run_program(
    path: Path,
    *,
    environment: Mapping[str, str],
    given: bytes,
    timeout: timedelta | None,
    kill_delay: timedelta,
    on_output: Callable[[str], None],
    on_error: Callable[[str], None],
) -> ProgramEnd:
    """Run a file with ``given`` on its standard input, and return how it ended.

    ``on_output`` and ``on_error`` are given its lines, those over 4,000 bytes in parts. Raises OSError where it cannot
    be started. A cancellation ends its process group before it leaves: SIGTERM, and SIGKILL after ``kill_delay``.
    """
    process = await _start(path, environment)
    assert process.stdout is not None
    assert process.stderr is not None
    output = ProgramOutput(process.stdout, process.stderr, on_output, on_error)
    timed_out = False
    async with anyio.create_task_group() as group:
        group.start_soon(output.read)
        group.start_soon(_feed, process, given)
        try:
            with anyio.move_on_after(None if timeout is None else timeout.total_seconds()):
                await _ended(process)
        finally:
            timed_out = process.returncode is None  # or cancelled
            with anyio.CancelScope(shield=True):
                if timed_out:
                    await _end_group(process, kill_delay)
                if not await output.has_ended_within(_LEFT_BEHIND_TIMEOUT):
                    _signal_group(process.pid, signal.SIGKILL)
                    await output.has_ended_within(_CLOSING_TIMEOUT)
                output.let_go()
                group.cancel_scope.cancel()
                await _close(process)
    return ProgramEnd(exit_code=process.returncode, timed_out=timed_out, error_tail=output.error_tail)


async def _start(path: Path, environment: Mapping[str, str]) -> Process:
    """Start it; shielded, or nobody would know of the process."""
    start = partial(
        anyio.open_process,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with anyio.CancelScope(shield=True):
        try:
            return await start([str(path)])
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        return await start([_SHELL, str(path)])
    raise AssertionError("nothing cancels this scope")


async def _feed(process: Process, given: bytes) -> None:
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):  # it need not read
        await process.stdin.send(given)
        await process.stdin.aclose()


async def _ended(process: Process) -> None:
    while process.returncode is None:
        with anyio.move_on_after(_LOOK_INTERVAL):
            await process.wait()


async def _end_group(process: Process, kill_delay: timedelta) -> None:
    """End the process and all of its group."""
    _signal_group(process.pid, signal.SIGTERM)
    with anyio.move_on_after(kill_delay.total_seconds()):
        while _signal_group(process.pid, 0):  # noqa: ASYNC110 - of other processes
            await anyio.sleep(_LOOK_INTERVAL / 5)
    _signal_group(process.pid, signal.SIGKILL)
    with anyio.move_on_after(_KILLED_TIMEOUT):
        await _ended(process)


def _signal_group(number: int, what: int) -> bool:
    """Send a signal, 0 for none, to a process group; return whether there is one."""
    try:
        os.killpg(number, what)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user by now, or (on macOS) nothing but ended ones
        pass
    return True


async def _close(process: Process) -> None:
    if process.returncode is None:  # what nothing ends is left to itself
        return
    with anyio.move_on_after(_CLOSING_TIMEOUT):
        await process.aclose()
