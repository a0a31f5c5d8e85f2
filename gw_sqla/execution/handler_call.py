"""How a task's handler is called for a job: bound once for each task, so that a job looks nothing up.

An async handler without more is called as it is: its coroutine goes straight to the slot. What a task
asks for beyond that (a timeout, a session, a thread, a process) is wrapped around that call, and only there
costs a scope, a connection or a task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from gw_sqla.database.session import AsyncSession
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import InvalidPayloadError
from gw_sqla.execution.handler_transaction import Call, Gather, in_transaction
from gw_sqla.execution.job_context import JobContext, Workplace
from gw_sqla.execution.process_pool import ProcessPool
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Argument, Source, Task

__all__ = ["Call", "TaskTimeoutError", "bind"]


class TaskTimeoutError(TimeoutError):
    """The task's own timeout, told apart from a TimeoutError of the handler."""

    def __init__(self, timeout: timedelta | None) -> None:
        super().__init__(f"the task's timeout of {timeout} has passed")


def bind(task: Task[Any], workplace: Workplace, threads: anyio.CapacityLimiter, processes: ProcessPool) -> Call:
    """Return how to call the task's handler for a job; the call raises what the handler raises."""
    load = _loader(task)
    if task.run_in == "process":
        return _in_process(task, load, processes)
    if task.run_in == "thread":
        return _in_thread(task, load, workplace, threads)
    if task.takes(Source.SESSION):
        call = in_transaction(task, _gatherer(task.arguments, load, workplace), workplace)
    else:
        call = _plain(task, load, workplace)
    return call if task.timeout is None else _bounded(call, task.timeout, commits=task.takes(Source.SESSION))


def _loader(task: Task[Any]) -> Callable[[str], Any]:
    """Return what makes the payload of its text."""
    load = task.payload_type.load
    if not task.batch:
        return load

    def load_list(text: str) -> Any:
        if not text.lstrip().startswith("["):
            raise InvalidPayloadError("does not fit its task: a batch job's payload is a JSON array")
        return load(text)

    return load_list


def _plain(task: Task[Any], load: Callable[[str], Any], workplace: Workplace) -> Call:
    handler = task.handler
    if not any(argument.by_keyword for argument in task.arguments):
        match [argument.source for argument in task.arguments]:  # the usual ones, without a loop for each job
            case []:
                return lambda _run: handler()
            case [Source.PAYLOAD]:
                return lambda run: handler(load(run.job.payload_text))
            case [Source.PAYLOAD, Source.CONTEXT]:
                return lambda run: handler(load(run.job.payload_text), JobContext(run, workplace))
            case [Source.CONTEXT, Source.PAYLOAD]:
                return lambda run: handler(JobContext(run, workplace), load(run.job.payload_text))
    gather = _gatherer(task.arguments, load, workplace)

    def call(run: Run) -> Any:
        positional, named = gather(run, None)
        return handler(*positional, **named)

    return call


def _gatherer(arguments: Sequence[Argument], load: Callable[[str], Any], workplace: Workplace) -> Gather:
    def value(argument: Argument, run: Run, session: AsyncSession | None) -> Any:
        match argument.source:
            case Source.PAYLOAD:
                return load(run.job.payload_text)
            case Source.CONTEXT:
                return JobContext(run, workplace)
            case Source.SESSION:
                return session
            case resource:
                return workplace.resources[resource]

    by_position = [argument for argument in arguments if not argument.by_keyword]
    by_keyword = [argument for argument in arguments if argument.by_keyword]

    def gather(run: Run, session: AsyncSession | None) -> tuple[list[Any], dict[str, Any]]:
        positional = [value(argument, run, session) for argument in by_position]
        return positional, {argument.name: value(argument, run, session) for argument in by_keyword}

    return gather


def _bounded(call: Call, timeout: timedelta, *, commits: bool) -> Call:
    """``commits``: a call that has returned has committed, even if the deadline passed meanwhile."""

    async def bounded(run: Run) -> Any:
        result: Any = None
        with anyio.move_on_after(timeout.total_seconds()) as scope:
            result = await call(run)
        if scope.cancelled_caught or (scope.cancel_called and not commits):  # also where the handler ignored it
            raise TaskTimeoutError(timeout)
        return result

    return bounded


def _in_thread(
    task: Task[Any], load: Callable[[str], Any], workplace: Workplace, threads: anyio.CapacityLimiter
) -> Call:
    gather = _gatherer(task.arguments, load, workplace)

    def in_thread(ticket: threading.Lock, ended: threading.Event, positional: list[Any], named: dict[str, Any]) -> Any:
        if not ticket.acquire(blocking=False):
            return None  # cancelled before it began
        try:
            return task.call_sync(*positional, **named)
        except StopIteration as error:  # cannot pass through a future
            raise RuntimeError(f"the handler raised {error_text(error)}") from error
        finally:
            ended.set()

    async def call(run: Run) -> Any:
        positional, named = gather(run, None)
        ticket, ended = threading.Lock(), threading.Event()
        try:
            return await anyio.to_thread.run_sync(
                in_thread, ticket, ended, positional, named, limiter=threads, abandon_on_cancel=True
            )
        except anyio.get_cancelled_exc_class():
            if not ticket.acquire(blocking=False):
                run.leave_thread(ended)
            raise

    return call


def _in_process(task: Task[Any], load: Callable[[str], Any], processes: ProcessPool) -> Call:
    async def call(run: Run) -> Any:
        if task.takes_payload:
            load(run.job.payload_text)  # what does not fit needs no process
        try:
            return await processes.call(task, run.job)
        except TimeoutError as error:
            raise TaskTimeoutError(task.timeout) from error

    return call
