"""How a task's handler is called for a job: bound once for each task, so that a job looks nothing up.

An async handler without more is called as it is: its coroutine goes straight to the slot. What a task
asks for beyond that (a timeout, a session, a thread, a process) is wrapped around that call, and only there
costs a scope, a connection or a task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from gw_sqla.database.session import AsyncSession
from gw_sqla.errors import InvalidPayloadError
from gw_sqla.execution.error_text import error_text
from gw_sqla.execution.job_context import JobContext, Workplace
from gw_sqla.execution.process_pool import Processes
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Argument, Source, Task

__all__ = ["Call", "TaskTimeoutError", "bind"]

Call = Callable[[Run], Awaitable[Any]]

_COMMIT_TIMEOUT = timedelta(seconds=60)
"""How long a commit may hold up a cancellation: it is shielded, so that its answer is known."""

_ASK = select(literal(1))
_ABORTED = "25P02"


class TaskTimeoutError(TimeoutError):
    """The task's own timeout, told apart from a TimeoutError of the handler."""

    def __init__(self, timeout: timedelta | None) -> None:
        super().__init__(f"the task's timeout of {timeout} has passed")


def bind(task: Task[Any], workplace: Workplace, threads: anyio.CapacityLimiter, processes: Processes) -> Call:
    """Return how to call the task's handler for a job; the call raises what the handler raises."""
    load = _loader(task)
    if task.run_in == "process":
        return _in_process(task, load, processes)
    if task.run_in == "thread":
        return _in_thread(task, load, workplace, threads)
    make = _with_session if task.takes(Source.SESSION) else _plain
    call = make(task, load, workplace)
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


def _gatherer(
    arguments: Sequence[Argument], load: Callable[[str], Any], workplace: Workplace
) -> Callable[[Run, AsyncSession | None], tuple[list[Any], dict[str, Any]]]:
    def value(argument: Argument, run: Run, session: AsyncSession | None) -> Any:
        match argument.source:
            case Source.PAYLOAD:
                return load(run.job.payload_text)
            case Source.CONTEXT:
                return JobContext(run, workplace)
            case Source.SESSION:
                return session
            case resource:
                return workplace.made[resource]

    by_position = [argument for argument in arguments if not argument.by_keyword]
    by_keyword = [argument for argument in arguments if argument.by_keyword]

    def gather(run: Run, session: AsyncSession | None) -> tuple[list[Any], dict[str, Any]]:
        positional = [value(argument, run, session) for argument in by_position]
        return positional, {argument.name: value(argument, run, session) for argument in by_keyword}

    return gather


def _with_session(task: Task[Any], load: Callable[[str], Any], workplace: Workplace) -> Call:
    """The handler in a session's transaction, which is committed when it returns and rolled back when it raises.

    PostgreSQL answers the commit of a transaction that an error has aborted with a rollback and no
    error. A handler may have caught that error; hence a statement before the commit, which then fails.
    """
    gather = _gatherer(task.arguments, load, workplace)

    async def call(run: Run) -> Any:
        async with workplace.sessions() as session:
            transaction = session.sync_session.begin()  # talks to no database yet
            positional, named = gather(run, session)
            result = await task.handler(*positional, **named)
            if session.sync_session.get_transaction() is not transaction:
                raise RuntimeError(
                    "the handler ended the transaction of its session (commit, rollback or close), which is the "
                    "worker's to end: for a transaction of its own it has ctx.session()"
                )
            await anyio.lowlevel.checkpoint_if_cancelled()  # a timeout that the handler ignored
            with anyio.fail_after(_COMMIT_TIMEOUT.total_seconds(), shield=True):
                await _commit(task, run, session, workplace)
        return result

    return call


async def _commit(task: Task[Any], run: Run, session: AsyncSession, workplace: Workplace) -> None:
    try:
        if task.transactional:
            await workplace.completions.complete(run, session)
        else:
            await session.execute(_ASK)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _ABORTED:
            raise
        raise RuntimeError(
            "the handler caught an error of the database that has aborted its transaction; nothing can be committed: "
            "put what may fail into a savepoint, session.begin_nested()"
        ) from error
    await session.commit()
    if task.transactional:
        run.committed()


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

    def in_thread(positional: list[Any], named: dict[str, Any]) -> Any:
        try:
            return task.call_sync(*positional, **named)
        except StopIteration as error:  # cannot pass through a future
            raise RuntimeError(f"the handler raised {error_text(error)}") from error

    async def call(run: Run) -> Any:
        arguments = gather(run, None)
        return await anyio.to_thread.run_sync(in_thread, *arguments, limiter=threads, abandon_on_cancel=True)

    return call


def _in_process(task: Task[Any], load: Callable[[str], Any], processes: Processes) -> Call:
    async def call(run: Run) -> Any:
        if task.takes_payload:
            load(run.job.payload_text)  # what does not fit needs no process
        try:
            return await processes.call(task, run.job.payload_text)
        except TimeoutError as error:
            raise TaskTimeoutError(task.timeout) from error

    return call
