"""Processes: sync handlers that would keep the interpreter busy run in processes of their own.

One process runs one handler at a time and is kept for the next. It gets the payload as JSON text, a line on its
standard input, and answers with a line of JSON on its standard output (`gw_sqla.execution.handler_process`): nothing is
pickled, so an exception that cannot be is text like any other. A process that dies fails the
job that it ran; a timeout or a cancellation kills it. It ends by itself when the worker dies. Its death shows by its
exit code, not by its closed pipe alone: what the handler forked has that pipe too, and may outlive it.

Rejected: a ProcessPoolExecutor, where one death breaks the pool for all; anyio.to_process, which throws the
handler's standard error (its log) away, does not tell how a process died and pickles exceptions.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from gw_sqla.error_texts.error_text import storable_text
from gw_sqla.errors import TaskDefinitionError
from gw_sqla.execution.batch_results import FailedItem
from gw_sqla.execution.current_job import CurrentJob
from gw_sqla.execution.handler_signature import Signature
from gw_sqla.execution.interpreter_flags import interpreter_flags
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.task import Source, Task

__all__ = ["HandlerFailedError", "ProcessPool", "refuse_impossible"]

_PROGRAM = """import json, os, sys
sys.path[:] = sorted(json.loads(sys.argv[1]), key=lambda folder: folder in ("", os.getcwd()))
from gw_sqla.execution.handler_process import main
main()"""
"""What a handler's process runs: gw_sqla, and what it imports, from wherever this one has it. From the current
directory only what is nowhere else, until the handler's module is imported by this one's own path."""

_LONGEST_ANSWER = 2**30
_ENDING_TIMEOUT = 10.0
"""Seconds for which a process that has closed its streams may take to end, so that it can be said how."""

_IMPORT_TIMEOUT = 60.0
"""Seconds for which the import of a handler's module may take."""

_LOOK_INTERVAL = 0.1
"""Seconds between two looks whether a process that owes an answer still lives."""

_CLOSING_TIMEOUT = 1.0
"""Seconds for which the pipes of an ended process may take to close; anyio below 4.15 waits for all who hold them."""


class HandlerFailedError(Exception):
    """A handler has failed in its process, or its process has died; ``message`` is the text for last_error.

    ``snooze_limit``: the handler has snoozed its job, for ``retry_after`` seconds, and may so often.
    """

    def __init__(
        self,
        message: str,
        *,
        permanently: bool = False,
        retry_after: float | None = None,
        snooze_limit: int | None = None,
        traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanently = permanently
        self.retry_after = retry_after
        self.snooze_limit = snooze_limit
        self.traceback = traceback


def refuse_impossible(handler: Callable[..., Any], signature: Signature) -> None:
    """Raise TaskDefinitionError for a handler that a process could not run."""
    if signature.is_async:
        raise TaskDefinitionError("run_in is for sync handlers; an async one runs in the event loop")
    others = [argument.name for argument in signature.arguments if argument.source is not Source.PAYLOAD]
    if others:
        raise TaskDefinitionError(
            f"a handler in a process is given its payload and nothing else: {others[0]!r} lives in the worker's process"
        )
    if not inspect.isfunction(handler) or "<" in handler.__qualname__:
        raise TaskDefinitionError(
            "a handler in a process is found by its import path: it must be a function at the top of a module"
        )
    if handler.__module__ == "__main__":
        raise TaskDefinitionError(
            "a handler in a process is found by its import path: move it from the main program to a module"
        )


class ProcessPool:
    """The processes of a worker pool, as many at once as there are CPUs; killed at the end of the block."""

    def __init__(self) -> None:
        self._room = anyio.CapacityLimiter(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self._idle: list[_Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._idle:
            await self._idle.pop().kill()

    async def call(self, task: Task[Any], job: ClaimedJob) -> list[FailedItem]:
        """Run the task's handler for a job in a process; return the failed items of a batch.

        Raises HandlerFailedError, and TimeoutError when the task's timeout has passed. Waiting for a process, and its
        start, do not count towards it. A cancellation kills the process.
        """
        path = f"{task.handler.__module__}:{task.handler.__qualname__}"
        request = {"handler": path, "identifier": task.identifier, "batch": task.batch}
        seconds = None if task.timeout is None else task.timeout.total_seconds()
        async with self._room:
            child = await self._child()
            try:
                await _import(child, request)
                with anyio.fail_after(seconds):
                    answer = await child.ask({"payload": job.payload_text, "job": astuple(CurrentJob.of(job))})
            except BaseException as error:
                if isinstance(error, HandlerFailedError) and not child.is_broken:
                    self._idle.append(child)
                else:
                    await child.kill()
                raise
            self._idle.append(child)
        return [FailedItem(*item) for item in answer["items"]]

    async def _child(self) -> _Child:
        while self._idle:
            child = self._idle.pop()
            if not child.is_broken:
                return child
            await child.kill()
        return await _Child.start()


async def _import(child: _Child, request: dict[str, Any]) -> None:
    """Let the process import the handler's module; raises HandlerFailedError, also when that takes too long."""
    try:
        with anyio.fail_after(_IMPORT_TIMEOUT):
            await child.ask(request)
    except TimeoutError as error:
        module = request["handler"].partition(":")[0]
        raise HandlerFailedError(
            f"the import of {module} in the handler's process took longer than {_IMPORT_TIMEOUT:g} s"
        ) from error


class _Child:
    """One process."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._to = process.stdin
        self._from = BufferedByteReceiveStream(process.stdout)
        self._answers = True

    @classmethod
    async def start(cls) -> _Child:
        """Start a process; its standard error is the worker's."""
        command = [sys.executable, *interpreter_flags(), "-P", "-c", _PROGRAM, json.dumps(sys.path)]
        return cls(await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None))

    @property
    def is_broken(self) -> bool:
        """Whether the process is known to have ended, or owes an answer, which would be taken for the next one."""
        return not self._answers or self._process.returncode is not None

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer; raises HandlerFailedError where it tells of an error."""
        self._answers = False
        try:
            await self._to.send(json.dumps(request).encode() + b"\n")
            answer = json.loads(await self._receive())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead) as error:
            raise HandlerFailedError(await self._how_it_ended()) from error
        assert isinstance(answer, dict)
        self._answers = True
        if "error" in answer:
            answer["message"] = storable_text(answer.pop("error"))
            raise HandlerFailedError(**answer)
        return answer

    async def kill(self) -> None:
        """Kill the process and wait until it is gone; shielded, and not longer than some seconds."""
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):  # it has ended already
                self._process.kill()
            await self._ended()
            with anyio.move_on_after(_CLOSING_TIMEOUT):
                await self._process.wait()
                await self._process.aclose()

    async def _receive(self) -> bytes:
        """Return the next line; raises anyio.EndOfStream when the process has ended without one."""
        while True:
            has_ended = self._process.returncode is not None
            with anyio.move_on_after(_LOOK_INTERVAL):
                return await self._from.receive_until(b"\n", _LONGEST_ANSWER)
            if has_ended:
                raise anyio.EndOfStream

    async def _ended(self) -> None:
        with anyio.move_on_after(_ENDING_TIMEOUT, shield=True):
            while self._process.returncode is None:  # noqa: ASYNC110 - wait() may wait for the pipes too
                await anyio.sleep(_LOOK_INTERVAL / 10)

    async def _how_it_ended(self) -> str:
        await self._ended()
        code = self._process.returncode
        if code is None:
            how = "it closed its standard streams"
        elif code >= 0:
            how = f"it exited with code {code}"
        else:
            how = f"it was killed by {_signal_name(-code)}"
            how += ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"ProcessDied: the handler's process ended before the handler did: {how}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return f"signal {number}"
