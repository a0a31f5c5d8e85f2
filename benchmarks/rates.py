"""Jobs per second, of several contenders in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.database import Database

__all__ = ["Rate", "measure"]


@dataclass
class Rate:
    """The wall times of one contender, in seconds, on an empty queue and on ``jobs`` jobs."""

    jobs: int
    empty: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Jobs per second, the start and the end of the process subtracted; medians of the runs."""
        return self.jobs / (median(self.full) - median(self.empty))

    def shown(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "jobs_per_second": round(self.per_second),
            "jobs": self.jobs,
            "seconds_empty": [round(seconds, 3) for seconds in self.empty],
            "seconds_full": [round(seconds, 3) for seconds in self.full],
        }


def measure(
    database: Database,
    contenders: Mapping[Contender, int],
    fill: Callable[[int], Sequence[str]],
    *,
    runs: int,
    empty: Callable[[], None] | None = None,
    rates: dict[str, Rate] | None = None,
) -> dict[str, Rate]:
    """Return the rate of each contender on its own number of jobs, the contenders in turn ``runs`` times.

    ``fill`` makes the SQL of the jobs from their number; ``empty`` is called before each of them works; ``rates``
    are those of earlier runs, to be added to. Raises RuntimeError where one leaves due jobs behind.
    """
    rates = {} if rates is None else rates
    for _ in range(runs):
        for contender, jobs in contenders.items():
            rate = rates.setdefault(contender.name, Rate(jobs))
            for times, selects in ((rate.empty, ()), (rate.full, fill(jobs))):
                (empty or database.empty)()
                database.fill(*selects)
                times.append(contender.drain(database.environment))
            if database.ready():
                raise RuntimeError(f"{contender.name} left jobs behind")
    return rates
