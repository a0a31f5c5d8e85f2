"""Checks of a task's options, where it is declared: each alone, and together with its handler and each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gw_sqla.errors import InvalidJobError, TaskDefinitionError
from gw_sqla.jobs.argument_checks import check_text
from gw_sqla.jobs.task import Source, Task

__all__ = ["check_options", "refuse_combination"]


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


def refuse_combination(task: Task[Any]) -> None:
    """Raise TaskDefinitionError for options that do not go with the handler, or with each other."""
    if task.timeout is not None and task.run_in == "thread":
        raise TaskDefinitionError(
            "a timeout cannot stop the thread of a sync handler; make the handler async, run it in a process, "
            "or bound the time inside it"
        )
    if task.batch and not (task.takes_payload and task.payload_type.takes_lists):
        raise TaskDefinitionError("a batch handler takes a payload, a list of items")
    if task.transactional and not task.takes(Source.SESSION):
        raise TaskDefinitionError("a transactional task's handler takes an AsyncSession, in whose transaction it works")
    if task.transactional and task.batch:
        raise TaskDefinitionError("a batch, whose items may fail in part, cannot be transactional")
