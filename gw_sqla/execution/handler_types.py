"""What type checkers know of ``@tasks.task(...)``: from a handler's signature to the payload's type of its Task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Protocol, TypeVar, overload

from gw_sqla.database.session import AsyncSession
from gw_sqla.execution.job_context import JobContext
from gw_sqla.jobs.task import Task

__all__ = ["DeclareTask"]

P = TypeVar("P")


class _Plain:
    """Fits only what takes anything: tells an ``Any`` from the types below it."""


class DeclareTask(Protocol):
    """What ``@tasks.task(...)`` returns: turns a handler into a Task of its payload's type.

    The payload is what comes first, or after a JobContext and an AsyncSession. A type checker cannot
    tell a resource from a payload: where there is none, resources are taken by keyword.
    """

    @overload
    def __call__(self, handler: Callable[[], Any], /) -> Task[None]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[_Plain, ...], Any], /) -> Task[Any]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[JobContext, _Plain, ...], Any], /) -> Task[Any]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[JobContext, AsyncSession, P, ...], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[AsyncSession, JobContext, P, ...], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[JobContext, AsyncSession, ...], Any], /) -> Task[None]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, handler: Callable[Concatenate[AsyncSession, JobContext, ...], Any], /) -> Task[None]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, handler: Callable[Concatenate[JobContext, P, ...], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[AsyncSession, P, ...], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[JobContext, ...], Any], /) -> Task[None]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, handler: Callable[Concatenate[AsyncSession, ...], Any], /) -> Task[None]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, handler: Callable[Concatenate[P, ...], Any], /) -> Task[P]: ...
    @overload
    def __call__(self, handler: Callable[..., Any], /) -> Task[None]: ...  # type: ignore[overload-cannot-match]
