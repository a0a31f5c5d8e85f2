"""What a function is given: read once, where a task or resource is declared.

Each parameter without a default is given something, by its annotation: `JobContext`, ``AsyncSession``, a
resource of that type, or else, by position, the payload. A handler that calling would not run, or that would
never be given what it asks for, is refused here, so that no job has to fail to show it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, get_args, get_type_hints

from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession
from sqlalchemy.orm import Session

from gw_sqla.database.session import AsyncSession
from gw_sqla.errors import TaskDefinitionError
from gw_sqla.execution.job_context import JobContext
from gw_sqla.jobs.task import Argument, Resource, Source, Task

__all__ = ["Signature", "is_async", "read_hints", "read_signature"]

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_TYPE = {JobContext: Source.CONTEXT, AsyncSession: Source.SESSION, SqlalchemySession: Source.SESSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How to call a handler. ``payload`` is the payload's annotation; Any where there is none."""

    is_async: bool
    arguments: tuple[Argument, ...]
    payload: Any

    def takes(self, source: Source) -> bool:
        """Whether the handler is given this."""
        return any(argument.source is source for argument in self.arguments)


def read_signature(handler: Callable[..., Any], resources: Mapping[Any, Resource]) -> Signature:
    """Return how to call the handler, given the resources by type.

    Raises TaskDefinitionError, without the task's name.
    """
    asynchronous = is_async(handler)
    parameters = list(inspect.signature(handler).parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        raise TaskDefinitionError(
            f"its handler is a method, whose {parameters[0].name!r} nothing provides: declare a function, or the "
            "method of an object, tasks.task(...)(mailer.send)"
        )
    hints = read_hints(handler)
    required = [parameter for parameter in parameters if parameter.default is Parameter.empty]
    given = {parameter.name: _given(hints.get(parameter.name), resources) for parameter in required}
    unknown = [parameter for parameter in required if given[parameter.name] is None]
    if len(unknown) == 2 and _may_be_context(unknown[1], hints) and Source.CONTEXT not in given.values():
        given[unknown.pop().name] = Source.CONTEXT
    if unknown:
        given[unknown[0].name] = Source.PAYLOAD
    _refuse_unknown(unknown, hints)
    _refuse_repeated(list(given.values()), len(required))
    if not asynchronous and Source.SESSION in given.values():
        raise TaskDefinitionError("its handler is given an AsyncSession, but cannot await it: make the handler async")
    _refuse_never_given(parameters, hints, resources, takes_payload=bool(unknown))
    return Signature(
        is_async=asynchronous,
        arguments=tuple(
            Argument(name=parameter.name, source=source, by_keyword=parameter.kind is Parameter.KEYWORD_ONLY)
            for parameter in required
            if (source := given[parameter.name]) is not None
        ),
        payload=hints.get(unknown[0].name, Any) if unknown else Any,
    )


def is_async(handler: Callable[..., Any]) -> bool:
    """Tell whether calling the handler gives an awaitable; refuses what calling would not run."""
    if isinstance(handler, Task):
        raise TaskDefinitionError(f"its handler is a task already, {handler!r}: decorate the function itself")
    if not callable(handler) or isinstance(handler, type):
        raise TaskDefinitionError(f"its handler must be a function, not {handler!r}")
    called = (handler, getattr(handler, "__call__", None))  # noqa: B004 - it is callable
    functions = (*called, inspect.unwrap(handler))
    if any(inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) for function in functions):
        raise TaskDefinitionError("its handler is a generator, which a call alone does not run")
    is_async = any(inspect.iscoroutinefunction(function) for function in called)
    if not is_async and inspect.iscoroutinefunction(functions[-1]):
        raise TaskDefinitionError(
            "its handler is async, but wrapped by a function that is not: make the wrapper async def, and await in it "
            "(or leave functools.wraps out, where it runs the coroutine itself: then it runs in a thread)"
        )
    return is_async


def read_hints(handler: Callable[..., Any]) -> dict[str, Any]:
    """Return the resolved annotations of a function; raises TaskDefinitionError."""
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    function = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TaskDefinitionError(
            f"an annotation cannot be resolved: {error}; its types must be importable where the function is defined"
        ) from error


def _given(annotation: Any, resources: Mapping[Any, Resource]) -> Source | Resource | None:
    """Return what the annotation alone asks for, or None: perhaps the payload."""
    try:
        return _BY_TYPE.get(annotation) or resources.get(annotation)
    except TypeError:  # an annotation that cannot be hashed, such as Annotated with a list in it
        return None


def _may_be_context(parameter: Parameter, hints: Mapping[str, Any]) -> bool:
    return parameter.name not in hints and parameter.kind in _BY_POSITION


def _refuse_unknown(unknown: list[Parameter], hints: Mapping[str, Any]) -> None:
    """One parameter may be the payload, by position; the others would be given nothing."""
    for parameter in unknown:
        if hints.get(parameter.name) is Session:
            raise TaskDefinitionError(
                f"its handler's parameter {parameter.name!r} asks for a Session: workers have an AsyncSession, "
                "for async handlers"
            )
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise TaskDefinitionError(f"its handler's parameter {parameter.name!r} would be given nothing: remove it")
    if len(unknown) > 1:
        raise TaskDefinitionError(
            "its handler may take one payload and one JobContext (annotated as such), an AsyncSession and resources; "
            f"nothing provides {unknown[1].name!r}: declare a resource of its type, above the task, by @tasks.resource"
        )
    if unknown and unknown[0].kind is Parameter.KEYWORD_ONLY:
        name = unknown[0].name
        raise TaskDefinitionError(
            f"nothing provides its handler's parameter {name!r}: the payload is given by position, and a resource "
            "of this type is not declared, above the task, with @tasks.resource"
        )


def _refuse_repeated(given: list[Source | Resource | None], count: int) -> None:
    if len(set(given)) < count:
        raise TaskDefinitionError(
            "its handler may take one payload and one JobContext (annotated as such), an AsyncSession and resources, "
            "each once"
        )


def _refuse_never_given(
    parameters: list[Parameter], hints: Mapping[str, Any], resources: Mapping[Any, Resource], *, takes_payload: bool
) -> None:
    """Parameters with a default keep it: refuse those that look as if they waited to be given something."""
    for parameter in parameters:
        if parameter.default is Parameter.empty:
            continue
        annotation = hints.get(parameter.name)
        for asked in (annotation, *get_args(annotation)):
            if _given(asked, resources) is not None:
                raise TaskDefinitionError(
                    f"its handler's parameter {parameter.name!r} has a default, and would never be given the "
                    f"{getattr(asked, '__name__', asked)}: remove the default"
                )
        if not takes_payload and parameter.kind is not Parameter.KEYWORD_ONLY:
            raise TaskDefinitionError(
                f"its handler's parameter {parameter.name!r} has a default, and would never be given the payload: "
                "remove the default, or make it keyword-only (after a *) if it is not the payload"
            )
