"""Pages of a list by name: the rows of this one, and the ways to the previous and to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gw_sqla.web.visit import Visit

__all__ = ["Paged", "Paging"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """What a template shows of a page: its rows, and the links that there are."""

    rows: Sequence[T]
    previous: str | None
    next: str | None


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page an address asks for: ``most`` rows behind ``after``, or before ``before``; else the first.

    One row more is read than is shown, to know whether there is one.
    """

    most: int
    after: str | None = None
    before: str | None = None

    def of(self, visit: Visit) -> Paging:
        """Return the page that this visit asks for."""
        return replace(self, after=visit.text("after"), before=visit.text("before"))

    @property
    def name(self) -> str:
        """What tells it from other pages."""
        return f"{self.after} {self.before}"

    @property
    def limit(self) -> int:
        """How many rows to read."""
        return self.most + 1

    def cut(self, visit: Visit, rows: Sequence[T], name: Callable[[T], object]) -> Paged[T]:
        """Return what is shown of what was read."""
        is_more = len(rows) > self.most
        if self.before is not None:
            shown = rows[-self.most :]
            is_previous, is_next = is_more, True
        else:
            shown = rows[: self.most]
            is_previous, is_next = self.after is not None, is_more
        if not shown:  # what was there is gone
            is_first = self.after is None and self.before is None
            return Paged((), None if is_first else visit.here(after=None, before=None), None)
        return Paged(
            shown,
            visit.here(before=name(shown[0]), after=None) if is_previous else None,
            visit.here(after=name(shown[-1]), before=None) if is_next else None,
        )
