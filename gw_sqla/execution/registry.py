"""TaskRegistry: declares which functions run which jobs.

A handler's parameters say what it is given: one annotated `JobContext` gets the context, the other
gets the payload, whose annotation is the payload's type. Unannotated, the first is the payload (plain
JSON) and the second the context. Further parameters need a default, and keep it. What cannot work is
refused when the task is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar, Unpack, overload

from pydantic import PydanticUserError

from gw_sqla.arguments import check_text
from gw_sqla.crontab import CronItem, CronOptions
from gw_sqla.errors import ConfigurationError, InvalidJobError, TaskDefinitionError
from gw_sqla.execution.context import JobContext
from gw_sqla.execution.cron_items import check_fit
from gw_sqla.execution.signature import read_signature
from gw_sqla.payload import PayloadType
from gw_sqla.task import Task

__all__ = ["TaskRegistry"]

P = TypeVar("P")


class _Plain:
    """Fits only what takes anything: tells an ``Any`` from the types below it."""


class _Declare(Protocol):
    """What ``@tasks.task(...)`` returns: turns a handler into a Task of its payload's type."""

    @overload
    def __call__(self, handler: Callable[[], Any], /) -> Task[None]: ...
    @overload
    def __call__(self, handler: Callable[[_Plain], Any], /) -> Task[Any]: ...
    @overload
    def __call__(self, handler: Callable[[JobContext, _Plain], Any], /) -> Task[Any]: ...
    @overload
    def __call__(self, handler: Callable[[JobContext], Any], /) -> Task[None]: ...
    @overload
    def __call__(self, handler: Callable[[P], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[[P, JobContext], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[[JobContext, P], Any], /) -> Task[P]: ...


class TaskRegistry(Mapping[str, Task[Any]]):
    """The tasks that a worker supports, by their identifiers. Make one for an application."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any]] = {}
        self._cron_items: list[CronItem] = []

    @property
    def cron_items(self) -> tuple[CronItem, ...]:
        """What `cron` has declared: a runner of this registry schedules it."""
        return tuple(self._cron_items)

    def task(
        self,
        identifier: str,
        *,
        batch: bool = False,
        timeout: timedelta | None = None,
        backoff: Callable[[int], timedelta] | None = None,
    ) -> _Declare:
        """Declare the decorated function, async or sync, as the handler of a task.

        Parameters: ``identifier``, 1 to 128 characters, the same for Node, Rust and SQL.
        ``batch``: the payload is a list and the handler returns a list with one result for each item;
        an item whose result is an exception is tried again, with the others that failed.
        ``timeout``: how long one attempt may take; it is then cancelled and failed. None is no limit.
        Not for sync handlers: a thread cannot be stopped.
        ``backoff``: from the number of attempts made to the wait until the next; None is Graphile
        Worker's exp(min(attempts, 10)) seconds.

        A sync handler runs in a thread. Raises TaskDefinitionError.
        """

        _check_options(identifier, batch, timeout, backoff)

        def declare(handler: Callable[..., Any]) -> Task[Any]:
            task = _task(identifier, handler, batch=batch, timeout=timeout, backoff=backoff)
            if identifier in self._tasks:
                raise TaskDefinitionError(f"task {identifier!r} is declared twice in this registry")
            self._tasks[identifier] = task
            return task

        return declare

    def cron(self, schedule: str, **options: Unpack[CronOptions]) -> Callable[[Task[P]], Task[P]]:
        """Declare when jobs are added for the decorated task; write it above ``@tasks.task(...)``.

        The parameters are those of `gw_sqla.CronItem`: ``schedule``, five fields such as ``0 4 * * *``, in UTC
        unless ``tz`` says otherwise; ``payload``, ``fill``, ``id`` and so on. Can be repeated, with another ``id``
        each.
        The handler is given the payload with ``_cron`` in it; a type that does not know ``_cron`` fits all the same.
        Raises TaskDefinitionError, also for a payload that does not fit the task and an identifier that occurs twice.
        """

        def declare(task: Task[P]) -> Task[P]:
            if not isinstance(task, Task):
                raise TaskDefinitionError("@tasks.cron decorates a task: write it above @tasks.task(...)")
            try:
                item = CronItem(task.identifier, schedule, **options)
                check_fit(item, task)
            except ConfigurationError as error:
                raise TaskDefinitionError(f"task {task.identifier!r}: {error}") from error
            if any(item.identifier == other.identifier for other in self._cron_items):
                raise TaskDefinitionError(
                    f"task {task.identifier!r}: a cron item {item.identifier!r} is declared already: give this one "
                    "another id"
                )
            self._cron_items.append(item)
            return task

        return declare

    def json_schemas(self) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each task's payload, for producers in other languages.

        Raises TaskDefinitionError, which names the task, for a type that has none.
        """
        schemas = {}
        for identifier, task in self._tasks.items():
            try:
                schemas[identifier] = task.payload_type.json_schema()
            except PydanticUserError as error:
                raise TaskDefinitionError(
                    f"task {identifier!r}: its payload type has no JSON Schema: {error.message}"
                ) from error
        return schemas

    def __getitem__(self, identifier: str) -> Task[Any]:
        return self._tasks[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def _task(
    identifier: str,
    handler: Callable[..., Any],
    *,
    batch: bool,
    timeout: timedelta | None,
    backoff: Callable[[int], timedelta] | None,
) -> Task[Any]:
    try:
        signature = read_signature(handler)
        payload_type: PayloadType[Any] = PayloadType(signature.payload)
    except TaskDefinitionError as error:
        raise TaskDefinitionError(f"task {identifier!r}: {error}") from error
    if timeout is not None and not signature.is_async:
        raise TaskDefinitionError(
            f"task {identifier!r}: a timeout cannot stop the thread of a sync handler; make the handler async, "
            "or bound the time inside it"
        )
    if batch and not (signature.takes_payload and payload_type.takes_lists):
        raise TaskDefinitionError(f"task {identifier!r}: a batch handler takes a payload, a list of items")
    return Task(
        identifier=identifier,
        handler=handler,
        payload_type=payload_type,
        takes_payload=signature.takes_payload,
        takes_context=signature.takes_context,
        context_first=signature.context_first,
        is_async=signature.is_async,
        batch=batch,
        timeout=timeout,
        backoff=backoff,
    )


def _check_options(identifier: object, batch: object, timeout: object, backoff: object) -> None:
    if callable(identifier):
        raise TaskDefinitionError('@tasks.task needs the task\'s identifier: write @tasks.task("identifier")')
    try:
        check_text("task_identifier", identifier, 128)
    except InvalidJobError as error:
        raise TaskDefinitionError(f"task identifier {identifier!r} {error.problem}") from error
    if not isinstance(batch, bool):
        raise TaskDefinitionError(f"task {identifier!r}: batch must be True or False, not {batch!r}")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TaskDefinitionError(f"task {identifier!r}: timeout must be a timedelta, not {timeout!r}")
    if timeout is not None and timeout <= timedelta(0):
        raise TaskDefinitionError(f"task {identifier!r}: timeout must be longer than 0, is {timeout}")
    if backoff is not None and not callable(backoff):
        raise TaskDefinitionError(
            f"task {identifier!r}: backoff must be a function, from the attempts made to a timedelta, not {backoff!r}"
        )
