"""The chart of what was added and what is gone: points of an SVG, made here, so that it needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gw_sqla.admin import Rates

__all__ = ["Chart", "chart"]

_WIDTH, _HEIGHT, _MARGIN = 600, 100, 4


@dataclass(frozen=True, slots=True)
class Chart:
    """The points of two lines, the highest value, and how many seconds it is wide."""

    added: str
    gone: str
    highest: float
    seconds: float


def chart(rates: Sequence[tuple[float, Rates]]) -> Chart | None:
    """Return a chart of jobs per minute; None for fewer than two points."""
    if len(rates) < 2:
        return None
    seconds = max(rates[0][0], 1.0)
    highest = max(1.0, *(max(rate.added, rate.gone) for _, rate in rates))

    def points(values: list[float]) -> str:
        found: list[str] = []
        for (before, _), value in zip(rates, values, strict=True):
            x = _WIDTH * (1 - before / seconds)
            y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * value / highest
            found.append(f"{x:.1f},{y:.1f}")
        return " ".join(found)

    return Chart(points([rate.added for _, rate in rates]), points([rate.gone for _, rate in rates]), highest, seconds)
