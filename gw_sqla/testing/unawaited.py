"""A call of the kit that nobody awaits is an error, at the next call or at the end of the test.

Python warns of a coroutine that was never awaited when it is collected, and goes on: an assertion that was never made
passes. So the methods return what knows whether it was awaited.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from gw_sqla.errors import JobTesterError

__all__ = ["AwaitedCalls", "must_be_awaited"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="AwaitedCalls")


class AwaitedCalls:
    """Base of an object whose `must_be_awaited` methods are awaited before the next is called."""

    def __init__(self) -> None:
        self._open_call: _Call[Any] | None = None

    def check_awaited(self) -> None:
        """Raise JobTesterError where a call was not awaited."""
        __tracebackhide__ = True
        call, self._open_call = self._open_call, None
        if call is not None:
            call.is_awaited = True  # is told now
            raise JobTesterError(f"{call} was not awaited, so it did nothing: write 'await' before it")

    def _began(self, call: _Call[Any]) -> None:
        __tracebackhide__ = True
        self.check_awaited()
        self._open_call = call

    def _awaited(self, call: _Call[Any]) -> None:
        if self._open_call is call:
            self._open_call = None


def must_be_awaited(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Awaitable[R]]:
    """Decorate an async method of `AwaitedCalls`."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        __tracebackhide__ = True
        frame = sys._getframe(1)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        return _Call(self, method.__name__, place, functools.partial(method, self, *args, **kwargs))

    return call


class _Call(Awaitable[R], Generic[R]):
    def __init__(self, owner: AwaitedCalls, name: str, place: str, run: Callable[[], Coroutine[Any, Any, R]]) -> None:
        __tracebackhide__ = True
        self._owner = owner
        self._text = f"{name}(...), called at {place},"
        self._run = run
        self.is_awaited = True  # where the call before was not, this one is none
        owner._began(self)
        self.is_awaited = False

    def __str__(self) -> str:
        return self._text

    def __await__(self) -> Generator[Any, Any, R]:
        __tracebackhide__ = True
        self.is_awaited = True
        self._owner._awaited(self)
        return self._run().__await__()

    def __del__(self) -> None:
        if not self.is_awaited:
            warnings.warn(f"{self._text} was never awaited", RuntimeWarning, stacklevel=2)
