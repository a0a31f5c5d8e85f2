"""Repetition: how many log lines of one kind are written; a fault of a thousand jobs is not told a thousand times.

In each span of some seconds so many lines of a kind are written, and so many of all kinds; of the rest the number is
told when the span is over, with the next line, or at the end. What is kept is bounded: of ten thousand kinds the first
thousand are told apart, and the numbers of the greatest twenty are told.
"""

from __future__ import annotations

from time import monotonic

__all__ = ["Repetition"]

_SPAN_SECONDS = 10.0
_MOST_OF_A_KIND = 20
_MOST = 400
_MOST_KINDS = 1_000
_MOST_TOLD = 20


class Repetition:
    """Counts lines by kind; a kind is a text for people, such as "failures of task mail"."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._since = monotonic()
        self._all = 0
        self._said: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._of_others = 0

    def may_be_said(self, kind: str) -> bool:
        """Tell whether another line of this kind is to be written; counts it either way."""
        said = self._said.get(kind, 0)
        if said >= _MOST_OF_A_KIND or self._all >= _MOST:
            if kind in self._left_out or len(self._left_out) < _MOST_KINDS:
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
            else:
                self._of_others += 1
            return False
        self._all += 1
        if said or len(self._said) < _MOST_KINDS:
            self._said[kind] = said + 1
        return True

    @property
    def is_span_over(self) -> bool:
        """Whether `begin_span` is due."""
        return monotonic() - self._since >= _SPAN_SECONDS

    def begin_span(self) -> list[str]:
        """Begin a new span; return lines that say what was left out in the one before."""
        left_out = sorted(self._left_out.items(), key=lambda one: -one[1])
        of_others = self._of_others + sum(count for _, count in left_out[_MOST_TOLD:])
        self._begin()
        told = [f"{count} more {kind} were not logged" for kind, count in left_out[:_MOST_TOLD]]
        return [*told, f"{of_others} more lines of other kinds were not logged"] if of_others else told
