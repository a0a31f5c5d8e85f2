"""Executable tasks: the executable files of a folder, in any language, as tasks; Graphile Worker's contract for them.

A file is run without arguments in the worker's current directory, once for each job. It has the worker's environment
and GRAPHILE_WORKER_* beside it, on its standard input ``{"payload": ...}`` with the payload as it is stored, and its
exit code 0 says that the job is done. What it prints is logged, secrets masked.

Beyond Graphile Worker: the end of its standard error is part of ``last_error``; a number too large for JavaScript
arrives as it is; not to read standard input is allowed; timeout and shutdown reach what the program has started, too,
and end with SIGKILL. A worker that begins to stop says nothing to a program, which has the grace period, as handlers do
(Graphile Worker sends SIGTERM after five seconds, its ``gracefulShutdownAbortTimeout``).
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from gw_sqla.error_texts.error_text import message_text, printable_text
from gw_sqla.errors import ConfigurationError, ExecutableFailedError
from gw_sqla.execution.executable_files import executable_files
from gw_sqla.execution.job_context import JobContext
from gw_sqla.execution.program import ProgramEnd, run_program
from gw_sqla.execution.task_options import Backoff
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.task import Task

__all__ = ["Executable", "executable_of", "load_executable_tasks"]

_LONGEST_TAIL = 3_000
_VARIABLES = "GRAPHILE_WORKER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """The handler of an executable file."""

    path: Path
    timeout: timedelta | None
    kill_delay: timedelta

    async def __call__(self, _payload: Any, ctx: JobContext) -> None:
        """Run the file for a job; raises ExecutableFailedError unless it exits with code 0."""
        try:
            end = await run_program(
                self.path,
                environment=_environment(ctx.job),
                given=f'{{"payload":{ctx.job.payload_text}}}'.encode(),
                timeout=self.timeout,
                kill_delay=self.kill_delay,
                on_output=_log(ctx, logging.INFO),
                on_error=_log(ctx, logging.WARNING),
            )
        except OSError as error:
            raise ExecutableFailedError(f"{self.path} could not be started: {_reason(error)}") from error
        if end.timed_out or end.exit_code != 0:
            raise self._failed(end)

    def _failed(self, end: ProgramEnd) -> ExecutableFailedError:
        how = f"ran for longer than its timeout of {self.timeout}" if end.timed_out else _how(end.exit_code)
        tail = printable_text(end.error_tail)  # before it is cut: a secret's name may be cut off
        if len(tail) > _LONGEST_TAIL:
            tail = f"... {tail[-_LONGEST_TAIL:]}"
        text = f"{self.path.name} {how}" + (f"; the end of its standard error: {tail}" if tail else "")
        return ExecutableFailedError(text, exit_code=None if end.timed_out else end.exit_code)


def load_executable_tasks(
    folder: str | os.PathLike[str],
    *,
    timeout: timedelta | None = timedelta(hours=4),
    kill_delay: timedelta = timedelta(seconds=5),
    backoff: Backoff | None = None,
) -> TaskRegistry:
    """Return the executable files of a folder as tasks, for a Runner, or for another registry to `include`.

    ``mail/send.sh`` in the folder is the task ``mail/send``; which files count says
    `gw_sqla.execution.executable_files`. Files that are added later are not seen; one that changes is run as it is by
    then.

    Parameters: ``timeout``, how long one attempt may take (Graphile Worker's is four hours; None is no limit);
    ``kill_delay``, how long a program and what it has started may take to end after SIGTERM, at its timeout or when
    the worker's grace period is over: then they are killed; ``backoff``, as in `gw_sqla.TaskRegistry.task`.

    Raises ConfigurationError, which names the file: one that may not be executed, two of one identifier, a link that
    leads nowhere. A program that fails is a `gw_sqla.ExecutableFailedError`.
    """
    if os.name != "posix":
        raise ConfigurationError("executable tasks need process groups and signals, as Linux, macOS and the BSDs have")
    if timeout is not None and not (isinstance(timeout, timedelta) and timeout > timedelta(0)):
        raise ConfigurationError(f"timeout: must be a timedelta longer than 0, or None, is {timeout!r}")
    if not (isinstance(kill_delay, timedelta) and kill_delay >= timedelta(0)):
        raise ConfigurationError(f"kill_delay: must be a timedelta that is not negative, is {kill_delay!r}")
    tasks = TaskRegistry()
    for identifier, path in executable_files(Path(folder).absolute()).items():
        tasks.task(identifier, backoff=backoff)(Executable(path=path, timeout=timeout, kill_delay=kill_delay))
    return tasks


def executable_of(task: Task[Any]) -> Executable:
    """Return what runs a task of `load_executable_tasks`."""
    assert isinstance(task.handler, Executable)
    return task.handler


def _environment(job: ClaimedJob) -> dict[str, str]:
    """The worker's environment without what another worker may have left in it, and the job's."""
    ours = {
        "PAYLOAD_FORMAT": "json",
        "TASK_IDENTIFIER": job.task_identifier,
        "JOB_ID": str(job.id),
        "JOB_KEY": job.key,
        "JOB_ATTEMPTS": str(job.attempts),
        "JOB_MAX_ATTEMPTS": str(job.max_attempts),
        "JOB_PRIORITY": str(job.priority),
        "JOB_RUN_AT": f"{job.run_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z",
    }
    given = {f"{_VARIABLES}{name}": value for name, value in ours.items()}
    left = {name: value for name, value in os.environ.items() if name not in given}
    return left | {name: value for name, value in given.items() if value is not None}


def _log(ctx: JobContext, level: int) -> Callable[[str], None]:
    logger = ctx.logger
    return lambda line: logger.log(level, "%s", printable_text(line))


def _reason(error: OSError) -> str:
    reason = error.strerror or message_text(error)
    return f"{reason} (the file, or what its first line names)" if isinstance(error, FileNotFoundError) else reason


def _how(code: int | None) -> str:
    if code is None:
        return "cannot be ended"
    if code > 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has none
        name = f"signal {-code}"
    return f"was killed by {name}" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")
