"""What a screen declares: pages, which change nothing, and deeds, which need a right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from gw_sqla.web.rights import Right
from gw_sqla.web.visit import Visit

__all__ = ["Deed", "Page", "Route"]

Answer: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """Answers GET (and HEAD); with a ``title`` it is in the navigation."""

    path: str
    answer: Answer
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """Answers POST, for those who have the ``right``; None where that depends on the form: then it requires it itself.

    With ``read_only`` it is not reached.
    """

    path: str
    answer: Answer
    right: Right | None


Route: TypeAlias = Page | Deed
