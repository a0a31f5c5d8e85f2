"""What a handler takes: its payload, a JobContext, both in either order, or nothing.

Read once, when a task is declared. A handler that calling would not run, or that would never be given
what it asks for, is refused here, so that no job has to fail to show it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, get_args, get_type_hints

from gw_sqla.errors import TaskDefinitionError
from gw_sqla.execution.context import JobContext

__all__ = ["Signature", "read_signature"]

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How to call a handler. ``payload`` is the payload's annotation; Any where there is none."""

    is_async: bool
    takes_payload: bool
    payload: Any
    takes_context: bool
    context_first: bool


def read_signature(handler: Callable[..., Any]) -> Signature:
    """Return how to call the handler; raises TaskDefinitionError, without the task's name."""
    is_async = _is_async(handler)
    parameters = list(inspect.signature(handler).parameters.values())
    hints = _hints(handler)
    required = [parameter for parameter in parameters if parameter.default is Parameter.empty]
    if any(parameter.kind not in _BY_POSITION for parameter in required):
        raise TaskDefinitionError("its handler may take a payload and a JobContext, by position")
    annotations = [hints.get(parameter.name, Parameter.empty) for parameter in required]
    contexts = [index for index, annotation in enumerate(annotations) if annotation is JobContext]
    if not contexts and len(annotations) == 2 and annotations[1] is Parameter.empty:
        contexts = [1]
    if len(contexts) > 1 or len(annotations) - len(contexts) > 1:
        raise TaskDefinitionError(
            "its handler may take one payload and one JobContext (annotated as such), "
            f"not {len(annotations)} parameters"
        )
    payloads = [annotation for index, annotation in enumerate(annotations) if index not in contexts]
    _refuse_never_given(parameters, hints, takes_payload=bool(payloads))
    return Signature(
        is_async=is_async,
        takes_payload=bool(payloads),
        payload=Any if not payloads or payloads[0] is Parameter.empty else payloads[0],
        takes_context=bool(contexts),
        context_first=contexts == [0] and bool(payloads),
    )


def _is_async(handler: Callable[..., Any]) -> bool:
    """Tell whether calling the handler gives an awaitable; refuses what calling would not run."""
    if not callable(handler) or isinstance(handler, type):
        raise TaskDefinitionError(f"its handler must be a function, not {handler!r}")
    functions = (handler, inspect.unwrap(handler), getattr(handler, "__call__", None))  # noqa: B004 - it is callable
    if any(inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) for function in functions):
        raise TaskDefinitionError("its handler is a generator, which a call alone does not run")
    return any(inspect.iscoroutinefunction(function) for function in functions)


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    function = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TaskDefinitionError(
            f"an annotation of its handler cannot be resolved: {error}; "
            "the payload's type must be importable where the handler is defined"
        ) from error


def _refuse_never_given(parameters: list[Parameter], hints: dict[str, Any], *, takes_payload: bool) -> None:
    """Parameters with a default keep it: refuse those that look as if they waited for a payload or context."""
    for parameter in parameters:
        if parameter.default is Parameter.empty:
            continue
        annotation = hints.get(parameter.name)
        if annotation is JobContext or JobContext in get_args(annotation):
            raise TaskDefinitionError(
                f"its handler's parameter {parameter.name!r} has a default, and would never be given the JobContext: "
                "remove the default"
            )
        if not takes_payload and parameter.kind in _BY_POSITION:
            raise TaskDefinitionError(
                f"its handler's parameter {parameter.name!r} has a default, and would never be given the payload: "
                "remove the default, or make it keyword-only (after a *) if it is not the payload"
            )
