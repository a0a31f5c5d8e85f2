"""Gives the methods of a class for sync sessions the texts of the one for async sessions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

__all__ = ["with_the_texts_of"]

R = TypeVar("R")


def with_the_texts_of(other: type) -> Callable[[type[R]], type[R]]:
    """Return a decorator that gives each public method the docstring of the other class's."""

    def decorate(one: type[R]) -> type[R]:
        for name, method in vars(one).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                method.__doc__ = getattr(other, name).__doc__
        return one

    return decorate
