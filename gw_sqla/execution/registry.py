"""TaskRegistry: declares which functions run which jobs.

A handler's parameters say what it is given: one annotated `JobContext` gets the context, the other
gets the payload, whose annotation is the payload's type. Unannotated, the first is the payload (plain
JSON) and the second the context; parameters with a default keep it. What cannot work is refused when
the task is declared.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar, get_type_hints, overload

from pydantic import PydanticUserError

from gw_sqla.errors import InvalidJobError, TaskDefinitionError
from gw_sqla.execution.context import JobContext
from gw_sqla.job import JobSpec
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

        def declare(handler: Callable[..., Any]) -> Task[Any]:
            task = _task(identifier, handler, batch=batch, timeout=timeout, backoff=backoff)
            if identifier in self._tasks:
                raise TaskDefinitionError(f"task {identifier!r} is declared twice in this registry")
            self._tasks[identifier] = task
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
        JobSpec(task_identifier=identifier)
    except InvalidJobError as error:
        raise TaskDefinitionError(f"task identifier {identifier!r} {error.problem}") from error
    is_async = _is_async(identifier, handler)
    if timeout is not None and timeout <= timedelta(0):
        raise TaskDefinitionError(f"task {identifier!r}: timeout must be longer than 0, is {timeout}")
    if timeout is not None and not is_async:
        raise TaskDefinitionError(
            f"task {identifier!r}: a timeout cannot stop the thread of a sync handler; make the handler async, "
            "or bound the time inside it"
        )
    payload, context_first, has_context = _parameters(identifier, handler)
    try:
        payload_type: PayloadType[Any] = PayloadType(Any if payload is None else payload[0])
    except TaskDefinitionError as error:
        raise TaskDefinitionError(f"task {identifier!r}: {error}") from error
    if batch and (payload is None or not payload_type.takes_lists):
        raise TaskDefinitionError(f"task {identifier!r}: a batch handler takes a payload, a list of items")
    return Task(
        identifier=identifier,
        handler=handler,
        payload_type=payload_type,
        takes_payload=payload is not None,
        takes_context=has_context,
        context_first=context_first,
        is_async=is_async,
        batch=batch,
        timeout=timeout,
        backoff=backoff,
    )


def _is_async(identifier: str, handler: Callable[..., Any]) -> bool:
    """Tell whether calling the handler gives an awaitable; refuses what calling would not run."""
    if not callable(handler) or isinstance(handler, type):
        raise TaskDefinitionError(f"task {identifier!r}: its handler must be a function, not {handler!r}")
    functions = (handler, inspect.unwrap(handler), getattr(handler, "__call__", None))  # noqa: B004 - it is callable
    if any(inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) for function in functions):
        raise TaskDefinitionError(f"task {identifier!r}: its handler is a generator, which a call alone does not run")
    return any(inspect.iscoroutinefunction(function) for function in functions)


def _parameters(identifier: str, handler: Callable[..., Any]) -> tuple[tuple[Any] | None, bool, bool]:
    """Return the payload's annotation in a tuple (None: no payload), context first, has context."""
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    try:
        hints = get_type_hints(
            function if inspect.isroutine(function) else type(function).__call__, include_extras=True
        )
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TaskDefinitionError(
            f"task {identifier!r}: an annotation of its handler cannot be resolved: {error}; "
            "the payload's type must be importable where the handler is defined"
        ) from error
    parameters = [
        parameter
        for parameter in inspect.signature(handler).parameters.values()
        if parameter.default is parameter.empty
    ]
    if any(
        parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters
    ):
        raise TaskDefinitionError(f"task {identifier!r}: its handler may take a payload and a JobContext, by position")
    annotations = [hints.get(parameter.name, parameter.empty) for parameter in parameters]
    contexts = [index for index, annotation in enumerate(annotations) if annotation is JobContext]
    if not contexts and len(annotations) == 2 and annotations[1] is inspect.Parameter.empty:
        contexts = [1]
    if len(contexts) > 1 or len(annotations) - len(contexts) > 1:
        raise TaskDefinitionError(
            f"task {identifier!r}: its handler may take one payload and one JobContext (annotated as such), "
            f"not {len(annotations)} parameters"
        )
    payloads = [annotation for index, annotation in enumerate(annotations) if index not in contexts]
    payload = (Any if payloads[0] is inspect.Parameter.empty else payloads[0],) if payloads else None
    return payload, contexts == [0] and payload is not None, bool(contexts)
