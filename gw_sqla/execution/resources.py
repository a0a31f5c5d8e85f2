"""Resources: what handlers are given by its type, made when a runner starts and closed when it ends.

Found by the return annotation of the function that makes them, when it is declared, so that a task which
asks for what nothing provides is refused. A resource may be given others, those declared above it;
that makes their order, and no cycle can be written. A runner makes those that its tasks ask for.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import Parameter
from types import TracebackType
from typing import Any, Self, get_args, get_origin

from sqlalchemy.ext.asyncio import AsyncSession

from gw_sqla.error_texts.error_text import error_text, only_error
from gw_sqla.errors import ResourceError, TaskDefinitionError
from gw_sqla.execution.handler_signature import read_hints
from gw_sqla.execution.job_context import JobContext
from gw_sqla.jobs.task import Argument, Resource, Task

__all__ = ["Resources", "open_resources", "read_resource"]

_STREAMS = (AsyncIterator, AsyncGenerator, AsyncIterable)


def read_resource(make: Callable[..., Any], resources: Mapping[Any, Resource]) -> Resource:
    """Return the resource that a function makes, given the ones declared before; raises TaskDefinitionError."""
    name = getattr(make, "__name__", repr(make))
    if not inspect.isroutine(make):
        raise TaskDefinitionError(f"a resource is made by a function, not by {make!r}")
    if inspect.isgeneratorfunction(make):
        raise TaskDefinitionError(f"resource {name}: a generator cannot await what it closes: make it async")
    if hasattr(make, "__wrapped__"):
        raise TaskDefinitionError(f"resource {name}: declare the function as it is, without another decorator")
    try:
        hints = read_hints(make)
    except TaskDefinitionError as error:
        raise TaskDefinitionError(f"resource {name}: {error}") from error
    arguments = []
    for parameter in inspect.signature(make).parameters.values():
        if parameter.default is not Parameter.empty:
            continue
        source = resources.get(hints.get(parameter.name))
        if source is None:
            raise TaskDefinitionError(
                f"resource {name}: nothing provides its parameter {parameter.name!r}: it is given other resources, by "
                "the types of those declared above it"
            )
        by_keyword = parameter.kind is Parameter.KEYWORD_ONLY
        arguments.append(Argument(name=parameter.name, source=source, by_keyword=by_keyword))
    kind = _provided(name, hints.get("return"), is_generator=inspect.isasyncgenfunction(make))
    if kind in resources:
        raise TaskDefinitionError(f"resource {name}: {resources[kind]} provides this type already")
    return Resource(type=kind, make=make, arguments=tuple(arguments))


def _provided(name: str, annotation: Any, *, is_generator: bool) -> Any:
    """Return the type that the return annotation says."""
    if is_generator:
        if get_origin(annotation) not in _STREAMS:
            raise TaskDefinitionError(
                f"resource {name}: its return annotation says what it provides: "
                f"write 'async def {name}(...) -> AsyncIterator[TheType]'"
            )
        annotation = get_args(annotation)[0]
    if annotation in (None, type(None), Any, object):
        raise TaskDefinitionError(f"resource {name}: its return annotation must be the type that handlers ask for")
    if annotation is JobContext or (isinstance(annotation, type) and issubclass(annotation, AsyncSession)):
        raise TaskDefinitionError(f"resource {name}: handlers are given a {annotation.__name__} by the worker itself")
    try:
        hash(annotation)
    except TypeError as error:
        raise TaskDefinitionError(f"resource {name}: its type {annotation!r} cannot be looked up: {error}") from error
    return annotation


class Resources:
    """Those that were made, to be closed in the opposite order at the end of the block. ``made`` may hold some before.

    What a resource raises is the cause of a ResourceError, which names it; those made before are closed.
    """

    def __init__(self, made: Mapping[Resource, Any] | None = None) -> None:
        self.made: dict[Resource, Any] = dict(made or {})
        self._stack = AsyncExitStack()

    async def make(self, arguments: Iterable[Argument]) -> None:
        """Make what is not there yet of what the arguments, and the resources among them, ask for."""
        for argument in arguments:
            resource = argument.source
            if isinstance(resource, Resource) and resource not in self.made:
                await self.make(resource.arguments)
                self.made[resource] = await self._stack.enter_async_context(_Opened(resource, self.made))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)


@asynccontextmanager
async def open_resources(tasks: Iterable[Task[Any]]) -> AsyncIterator[dict[Resource, Any]]:
    """Make what the tasks ask for, before the block; see `Resources`."""
    async with Resources() as resources:
        for task in tasks:
            await resources.make(task.arguments)
        yield resources.made


class _Opened:
    """A resource while it is there; what it raises itself, and nothing else, becomes a ResourceError."""

    def __init__(self, resource: Resource, made: Mapping[Resource, Any]) -> None:
        self._resource = resource
        arguments = [(argument, made[argument.source]) for argument in resource.arguments]  # type: ignore[index] # resources only
        self._positional = [value for argument, value in arguments if not argument.by_keyword]
        self._named = {argument.name: value for argument, value in arguments if argument.by_keyword}
        self._manager: AbstractAsyncContextManager[Any] | None = None

    async def __aenter__(self) -> Any:
        make = self._resource.make
        try:
            if inspect.isasyncgenfunction(make):
                self._manager = asynccontextmanager(make)(*self._positional, **self._named)
                return await self._manager.__aenter__()
            value = make(*self._positional, **self._named)
            return await value if inspect.isawaitable(value) else value
        except Exception as error:
            raise ResourceError(f"{self._resource} could not be made: {error_text(error)}") from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._manager is None:
            return None
        try:
            return await self._manager.__aexit__(kind, error, traceback)
        except Exception as raised:
            own = only_error(raised)
            if own is error:  # it passes on what came, wrapped by a task group of its own
                raise
            raise ResourceError(f"{self._resource} failed: {error_text(own)}") from own
