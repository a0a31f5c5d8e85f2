"""Checks of a task's options, where it is declared: each alone, and together with its handler and each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from inspect import Parameter
from typing import Any, TypeAlias, cast

from gw_sqla.crontab import CronOptions
from gw_sqla.errors import InvalidJobError, TaskDefinitionError
from gw_sqla.jobs.argument_checks import check_text
from gw_sqla.jobs.task import Source, Task
from gw_sqla.jobs.task_defaults import TaskDefaults

__all__ = ["Backoff", "check_options", "cron_options", "of_attempts_and_error", "refuse_combination", "task_defaults"]

Backoff: TypeAlias = Callable[[int], timedelta] | Callable[[int, BaseException | None], timedelta]
"""From the attempts made, and from the error too if it takes it, to the wait until the next."""


def check_options(
    identifier: object, batch: object, timeout: object, backoff: object, transactional: object, run_in: object
) -> None:
    """Raise TaskDefinitionError for an option that cannot be, whatever the handler is."""
    if callable(identifier):
        raise TaskDefinitionError('@tasks.task needs the task\'s identifier: write @tasks.task("identifier")')
    try:
        check_text("task_identifier", identifier, 128)
    except InvalidJobError as error:
        raise TaskDefinitionError(f"task identifier {identifier!r} {error.problem}") from error
    for option, value in (("batch", batch), ("transactional", transactional)):
        if not isinstance(value, bool):
            raise TaskDefinitionError(f"task {identifier!r}: {option} must be True or False, not {value!r}")
    if run_in not in (None, "thread", "process"):
        raise TaskDefinitionError(f"task {identifier!r}: run_in must be 'thread' or 'process', not {run_in!r}")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TaskDefinitionError(f"task {identifier!r}: timeout must be a timedelta, not {timeout!r}")
    if timeout is not None and timeout <= timedelta(0):
        raise TaskDefinitionError(f"task {identifier!r}: timeout must be longer than 0, is {timeout}")
    if backoff is not None and not callable(backoff):
        raise TaskDefinitionError(
            f"task {identifier!r}: backoff must be a function, from the attempts made to a timedelta, not {backoff!r}"
        )


def of_attempts_and_error(backoff: Backoff | None) -> Callable[[int, BaseException | None], timedelta] | None:
    """Return the backoff as a function of both, whether it takes the error or not."""
    if backoff is None:
        return None
    try:
        parameters = list(inspect.signature(backoff).parameters.values())
    except (TypeError, ValueError):  # of a builtin, which tells nothing: the attempts alone, as ever
        parameters = []
    needed = [
        parameter
        for parameter in parameters
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is Parameter.empty
    ]
    if len(needed) >= 2:
        return cast("Callable[[int, BaseException | None], timedelta]", backoff)
    of_attempts = cast("Callable[[int], timedelta]", backoff)
    return lambda attempts, _error: of_attempts(attempts)


def task_defaults(identifier: str, **defaults: Any) -> TaskDefaults:
    """Return what the task's jobs are like; raises TaskDefinitionError."""
    try:
        return TaskDefaults(**defaults)
    except InvalidJobError as error:
        raise TaskDefinitionError(f"task {identifier!r}: {error}") from error


def cron_options(defaults: TaskDefaults) -> CronOptions:
    """Return what the task's cron items have, unless they say otherwise."""
    return cast("CronOptions", defaults.fixed)


def refuse_combination(task: Task[Any]) -> None:
    """Raise TaskDefinitionError for options that do not go with the handler, or with each other."""
    if task.timeout is not None and task.run_in == "thread":
        raise TaskDefinitionError(
            "a timeout cannot stop the thread of a sync handler; make the handler async, run it in a process, "
            "or bound the time inside it"
        )
    if task.batch and not (task.takes_payload and task.payload_type.takes_lists):
        raise TaskDefinitionError("batch: the handler takes a payload, annotated as a list, such as list[Item]")
    if task.transactional and not task.takes(Source.SESSION):
        raise TaskDefinitionError("a transactional task's handler takes an AsyncSession, in whose transaction it works")
    if task.transactional and task.batch:
        raise TaskDefinitionError(
            "a batch, whose items may fail in part, cannot be transactional: leave one of the two out"
        )
