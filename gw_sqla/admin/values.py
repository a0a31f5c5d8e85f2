"""What reading returns: frozen values, free of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.stored_job import ListedJob

__all__ = ["MOST_LISTED", "Count", "JobOrder", "JobPage", "ScanLimits", "ScanStop"]

MOST_LISTED = 1000
"""How many things one call returns, at most."""


class JobOrder(StrEnum):
    """In which order jobs are listed."""

    ID = "id"
    """As they were added."""
    TURN = "turn"
    """As they are claimed: by priority, then run_at, then id. Only waiting jobs have a turn."""


class ScanStop(StrEnum):
    """Why a reading ended before it had its answer."""

    ROWS = "rows"
    """It had looked at as many rows as it may."""
    TIME = "time"
    """Its time was up."""


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """How much one reading may cost.

    ``rows``: how many rows it looks at, from 1 to 10,000,000. Raise it to search further in one call. Defaults to
    100,000. ``timeout``: how long its statements take together, from 10 ms to an hour; the database ends a statement
    that takes longer, and the caller's transaction goes on. Round trips are not counted: a database may be far away.
    Defaults to 120 ms, so that a page is there within 200 ms.

    Raises InvalidJobError.
    """

    rows: int = 100_000
    timeout: timedelta = timedelta(milliseconds=120)

    def __post_init__(self) -> None:
        if not isinstance(self.rows, int) or isinstance(self.rows, bool) or not 1 <= self.rows <= 10_000_000:
            raise InvalidJobError("limits", f"rows must be an int from 1 to 10000000, is {self.rows!r}")
        if not isinstance(self.timeout, timedelta) or not timedelta(milliseconds=10) <= self.timeout <= timedelta(
            hours=1
        ):
            raise InvalidJobError("limits", f"timeout must be a timedelta of 10 ms to an hour, is {self.timeout!r}")


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; ``is_exact`` is False where there may be more: ``str`` is then for example ``10,000+``."""

    number: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" + ("" if self.is_exact else "+")


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs.

    ``next`` and ``previous`` are the cursors of the pages after and before it, None where there is none. ``scanned``:
    how many rows were looked at, at most. ``stopped``: why the reading ended before the page was full, None where it is
    full or nothing more is there; then ``next`` goes on where it ended, also from an empty page (``previous`` does, of
    a page that was read backwards).
    """

    jobs: tuple[ListedJob, ...]
    next: str | None
    previous: str | None
    scanned: int
    stopped: ScanStop | None = None
