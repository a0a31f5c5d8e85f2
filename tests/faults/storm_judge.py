"""What a storm has to leave behind, and the figures that it is told by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from tests.faults.storm_app import task_of

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """One run of a job's handler, as it recorded it; ``ended`` is None where its process was killed."""

    n: int
    job_id: int
    queue_name: str | None
    worker: int
    began: datetime
    ended: datetime | None
    locked_at: datetime
    done: bool
    """Whether its handler came to its end, and in a transaction that completes the job: whether that is committed."""


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
class Taken:
    """Between these two times somebody may have taken the locks that a worker had, though it lived."""

    worker: int
    since: datetime
    until: datetime


@dataclass
class Deeds:
    """What administrators did to jobs. Those of the storm write it, the judge reads it."""

    added: set[int] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)
    """Jobs that were replaced or removed, perhaps: they may run, and fail for good where they ran at that time."""
    deleted_at: dict[int, datetime] = field(default_factory=dict)
    """By the ids of jobs whose rows were deleted, perhaps: when that began."""
    deleted: set[int] = field(default_factory=set)
    """The numbers of jobs whose rows were deleted, for certain."""
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Aftermath:
    """All that is known when a storm is over."""

    seconds: float
    restarts: int
    runs: Sequence[Run]
    writes: Sequence[int]
    """The numbers of the jobs that wrote in a transaction that completes the job."""
    deeds: Deeds
    deaths: Sequence[Death]
    taken: Sequence[Taken]
    left: int
    """Jobs that are still in the table, and have attempts left."""
    failed: Set[int]
    """Numbers of those that have none."""
    locked: int
    """Jobs and queues that are locked, while the workers live still, and afterwards."""
    registered: int
    """Workers that are registered in the end; but those behind a pooler, who may not know whether a claim that was cut
    off still locks: their row stays for a minute, by which they would be recovered."""
    gone: Sequence[str]
    """What the logs say of workers that ended by themselves."""
    exit_codes: Sequence[int]
    """Of the workers that were stopped in the end."""
    mistaken: Set[int]
    """Workers that lived and were taken for dead, because they could not say in time that they lived."""
    longest_recovery: float
    """Seconds within which a dead pool's locks have to be gone."""

    def problems(self) -> list[str]:
        """Return what must not be; empty after a good storm."""
        deeds = self.deeds
        ran = {run.n for run in self.runs if run.done and task_of(run.n) == "storm"} | set(self.writes)
        too_often = {n for n, count in Counter(self.writes).items() if count > 1 or n in deeds.deleted}
        found = [
            f"{len(numbers)} jobs {what}, such as {sorted(numbers)[:5]}"
            for what, numbers in {
                "never ran to their end": deeds.added - deeds.excused - ran,
                "failed for good": self.failed - deeds.excused,
                "wrote twice, or although they were deleted": too_often,
            }.items()
            if numbers
        ]
        if self.left or self.locked or self.registered:
            found.append(f"{self.left} jobs, {self.locked} locks, {self.registered} workers are left in the database")
        deaths = {death.worker: death.at for death in self.deaths}
        found += overlaps(self.runs, deaths, self.mistaken, taken=self.taken, deleted_at=deeds.deleted_at)
        for death in self.deaths:
            if death.unlocked is None or _seconds(death) > self.longest_recovery:
                found.append(f"{death.pool_id} died at {death.at}, and held its locks until {death.unlocked}")
        found += [f"a worker ended by itself: {log}" for log in self.gone]
        if any(self.exit_codes):
            found.append(f"exit codes of the workers that were stopped: {self.exit_codes}")
        return found

    def __str__(self) -> str:
        again = len(self.runs) - len({run.n for run in self.runs})
        queued = sum(run.queue_name is not None for run in self.runs)
        cut_off = sum(run.ended is None for run in self.runs)
        times = sorted(_seconds(death) for death in self.deaths if death.held and death.unlocked is not None)
        recovery = f"median {median(times):.1f} s, longest {times[-1]:.1f} s" if times else "none was needed"
        deeds = self.deeds
        return "\n".join(
            [
                f"{len(deeds.added)} jobs in {self.seconds:.0f} s: {len(self.runs)} runs, {queued} in named queues; "
                f"{len(self.writes)} completed in their own transactions",
                f"{len(self.deaths)} workers killed, {len(times)} of them holding locks; "
                f"{self.restarts} immediate restarts of PostgreSQL; {len(self.mistaken)} taken for dead that lived",
                "; ".join(f"{count} {name}" for name, count in sorted(deeds.counts.items())),
                f"{cut_off} runs cut off by a kill, {again} runs of a job that had run before",
                f"{len(deeds.excused)} jobs replaced or removed, {len(self.failed)} of them while they ran and failed",
                f"from death to unlocked: {recovery}; allowed {self.longest_recovery:.1f} s",
                f"left over: {self.left} jobs, {self.locked} locks, {self.registered} workers; "
                f"exit codes {list(self.exit_codes)}",
            ]
        )


def overlaps(
    runs: Sequence[Run],
    deaths: Mapping[int, datetime],
    mistaken: Set[int] = frozenset(),
    *,
    taken: Sequence[Taken] = (),
    deleted_at: Mapping[int, datetime] | None = None,
) -> list[str]:
    """Return where two runs of one queue, or of one job, overlapped.

    A run lasts until the end that its handler recorded; without one, until its process was seen dead (the
    handler repeats its writes until they are committed, so only a kill leaves no end). It has a right to be alone until
    then, or until somebody took its lock away or deleted its job: a worker learns of that at its next heartbeat. The
    same goes for one that was taken for dead, whenever that was.
    """
    deleted_at = deleted_at or {}

    def voided(run: Run) -> datetime:
        times = [each.since for each in taken if each.worker == run.worker and run.locked_at <= each.until]
        if run.job_id in deleted_at:
            times.append(deleted_at[run.job_id])
        return run.began if run.worker in mistaken else min(times, default=_NEVER)

    found = []
    lanes: dict[str, list[Run]] = {}
    for run in runs:
        lanes.setdefault(f"job {run.job_id}", []).append(run)
        if run.queue_name is not None:
            lanes.setdefault(f"queue {run.queue_name}", []).append(run)
    for name, lane in lanes.items():
        alone: tuple[datetime, Run] | None = None  # the run that has the longest right so far, and its end
        for run in sorted(lane, key=lambda run: run.began):
            void = voided(run)
            if alone is not None and run.began < alone[0] and run.began < void:
                found.append(f"{name}: {alone[1]} and {run} overlapped")
            end = min(void, run.ended or deaths.get(run.worker, _NEVER))
            if alone is None or end > alone[0]:
                alone = end, run
    return found


def _seconds(death: Death) -> float:
    assert death.unlocked is not None
    return (death.unlocked - death.at).total_seconds()
