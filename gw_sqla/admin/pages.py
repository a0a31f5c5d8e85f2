"""Pages of a list in the order of names: behind one, or before one, so that one can go on and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gw_sqla.admin.values import MOST_LISTED
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_count, check_storable

__all__ = ["NamePage", "check_one_way"]


@dataclass(frozen=True, slots=True)
class NamePage:
    """``limit`` names behind ``after``, or the nearest before ``before``: in both cases the first name comes first.

    Raises InvalidJobError for what cannot be.
    """

    after: str | None
    before: str | None
    limit: int

    def __post_init__(self) -> None:
        for name, place in (("after", self.after), ("before", self.before)):
            if place is not None:
                check_storable(name, place)
        check_one_way(self.after, self.before)
        check_count("limit", self.limit, MOST_LISTED)

    @property
    def backwards(self) -> bool:
        """Whether a statement reads them from the last to the first."""
        return self.before is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """What a statement is given."""
        return {"place": self.before if self.before is not None else self.after or "", "limit": self.limit}

    def in_order(self, rows: list[Any]) -> list[Any]:
        """Return what was read, the first name first."""
        return rows[::-1] if self.backwards else rows


def check_one_way(after: object, before: object) -> None:
    """Raise InvalidJobError where both are given."""
    if after is not None and before is not None:
        raise InvalidJobError("before", "give it or after, not both: a page goes one way")
