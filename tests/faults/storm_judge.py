"""What a storm has to leave behind, and the figures that it is told by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median


@dataclass(frozen=True)
class Run:
    """One run of a job's handler, as it recorded it; ``ended`` is None where its process was killed."""

    n: int
    job_id: int
    queue_name: str | None
    worker: int
    began: datetime
    ended: datetime | None


@dataclass(frozen=True)
class Death:
    """A worker process that was killed; ``unlocked`` is when nothing was locked by its pool any more."""

    worker: int
    pool_id: str | None
    at: datetime
    unlocked: datetime | None
    held: bool
    """Whether its pool was seen to hold locks after its death."""


@dataclass(frozen=True)
class Aftermath:
    """All that is known when a storm is over."""

    jobs: int
    seconds: float
    restarts: int
    runs: Sequence[Run]
    deaths: Sequence[Death]
    left: int
    """Jobs that are still in the table."""
    locked: int
    """Jobs and queues that are locked."""
    exit_codes: Sequence[int]
    """Of the workers that were stopped in the end."""
    mistaken: Set[int]
    """Workers that lived and were taken for dead, because they could not say in time that they lived."""
    longest_recovery: float
    """Seconds within which a dead pool's locks have to be gone."""

    def problems(self) -> list[str]:
        """Return what must not be; empty after a good storm."""
        found = []
        missing = set(range(self.jobs)).difference(run.n for run in self.runs)
        if missing:
            found.append(f"{len(missing)} jobs never ran, such as {sorted(missing)[:5]}")
        if self.left or self.locked:
            found.append(f"{self.left} jobs are left, {self.locked} jobs and queues are locked")
        found += overlaps(self.runs, {death.worker: death.at for death in self.deaths}, self.mistaken)
        for death in self.deaths:
            if death.unlocked is None or _seconds(death) > self.longest_recovery:
                found.append(f"{death.pool_id} died at {death.at}, and held its locks until {death.unlocked}")
        if any(self.exit_codes):
            found.append(f"exit codes of the workers that were stopped: {self.exit_codes}")
        return found

    def __str__(self) -> str:
        again = len(self.runs) - len({run.n for run in self.runs})
        queued = sum(run.queue_name is not None for run in self.runs)
        cut_off = sum(run.ended is None for run in self.runs)
        times = sorted(_seconds(death) for death in self.deaths if death.held and death.unlocked is not None)
        recovery = f"median {median(times):.1f} s, longest {times[-1]:.1f} s" if times else "none was needed"
        return "\n".join(
            [
                f"{self.jobs} jobs in {self.seconds:.0f} s: {len(self.runs)} runs, {queued} of them in named queues",
                f"{len(self.deaths)} workers killed, {len(times)} of them holding locks; "
                f"{self.restarts} immediate restarts of PostgreSQL; {len(self.mistaken)} taken for dead that lived",
                f"{cut_off} runs cut off by a kill, {again} runs of a job that had run before",
                f"from death to unlocked: {recovery}; allowed {self.longest_recovery:.1f} s",
                f"left over: {self.left} jobs, {self.locked} locks; exit codes {list(self.exit_codes)}",
            ]
        )


def overlaps(runs: Sequence[Run], deaths: Mapping[int, datetime], mistaken: Set[int] = frozenset()) -> list[str]:
    """Return where two runs of one queue overlapped.

    A run lasts until the end that its handler recorded; without one, until its process was seen dead (the
    handler repeats its writes until they are committed, so only a kill leaves no end). A worker that was taken
    for dead learns of it at its next heartbeat: what it runs until then may meet its successor.
    """
    found = []
    lanes: dict[str, list[Run]] = {}
    for run in runs:
        if run.queue_name is not None:
            lanes.setdefault(run.queue_name, []).append(run)
    for name, lane in lanes.items():
        for first, second in pairwise(sorted(lane, key=lambda run: run.began)):
            end = first.ended or deaths.get(first.worker)
            if first.worker not in mistaken and (end is None or second.began < end):
                found.append(f"queue {name}: {first} and {second} overlapped")
    return found


def _seconds(death: Death) -> float:
    assert death.unlocked is not None
    return (death.unlocked - death.at).total_seconds()
