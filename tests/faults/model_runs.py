"""Workers in the model: runs, each a claim of a job, what they may write, and what others have locked meanwhile.

A run may write while its pool has the job, by a lock that is not younger than the run, in the attempt that the run
knows (or the job has lost its key and its attempts since). So an older run of a pool never writes what a newer one has,
unless somebody has aged the lock of that by hand.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.faults.model import UNLOCKED, Lock, Model, ModelJob


@dataclass(frozen=True)
class ModelRun:
    """One claim of one job: what was known of it then."""

    pool: str
    job_id: int
    attempt: int
    key: str | None
    queue: str | None
    at: datetime

    def has(self, lock: Lock) -> bool:
        """Whether the lock is the pool's, and not younger than the run."""
        return lock.pool == self.pool and lock.at is not None and lock.at <= self.at


@dataclass
class WorkerModel(Model):
    """``runs``: those of each pool and job, the oldest first.

    ``held_jobs`` and ``held_queues`` are locked by an open transaction of others: those of ``held_jobs`` for an update
    of theirs, or, where false, by a foreign key only, which stands in the way of a deletion. What goes around locks
    leaves them alone.
    """

    runs: dict[tuple[str, int], list[ModelRun]] = field(default_factory=dict)
    held_jobs: dict[int, bool] = field(default_factory=dict)
    held_queues: set[str] = field(default_factory=set)

    @property
    def is_held(self) -> bool:
        return bool(self.held_jobs or self.held_queues)

    def claim(
        self, pool: str, claimed: Sequence[int], at: datetime, count: int, tasks: Collection[str], flags: set[str]
    ) -> None:
        """Check that a claim took what it had to take, and lock that."""
        lanes: dict[object, list[ModelJob]] = {}
        for job in self.jobs.values():
            if self._is_claimable(job, tasks, flags):
                lanes.setdefault(job.id if job.queue is None else job.queue, []).append(job)
        heads = sorted(min(job.urgency for job in lane) for lane in lanes.values())
        assert len(set(claimed)) == len(claimed)
        chosen = [self.jobs[job_id] for job_id in claimed]
        for job in chosen:
            assert job in lanes.pop(job.id if job.queue is None else job.queue, []), f"{job} was not to be had"
        assert sorted(job.urgency for job in chosen) == heads[:count]
        for job in chosen:
            job.attempts += 1
            job.lock = Lock(pool, at)
            run = ModelRun(pool, job.id, job.attempts, job.key, job.queue, at)
            self.runs.setdefault((pool, job.id), []).append(run)
            if job.queue is not None:
                self.queues[job.queue] = job.lock

    def age_locks(self, pool: str, age: timedelta) -> None:
        for locked in self.jobs.values():
            locked.lock = locked.lock.aged(age) if locked.lock.pool == pool else locked.lock
        self.queues |= {name: lock.aged(age) for name, lock in self.queues.items() if lock.pool == pool}

    def complete(self, runs: Sequence[ModelRun]) -> tuple[set[int], set[int]]:
        written, busy = self._sorted(runs, deleting=True)
        for run in written:
            del self.jobs[run.job_id]
        return self._finish(written), busy

    def complete_alike(self, runs: Sequence[ModelRun]) -> set[int]:
        """As `complete`, for runs of one attempt without keys and queues; their times are taken together."""
        latest = max(run.at for run in runs)
        done = set()
        for run in runs:
            job = self.jobs.get(run.job_id)
            if (
                job
                and job.lock.pool == run.pool
                and job.lock.at
                and job.lock.at <= latest
                and job.attempts == run.attempt
            ):
                del self.jobs[job.id]
                done.add(job.id)
        return done

    def fail(self, runs: Sequence[ModelRun], message: str, *, final: bool) -> tuple[set[int], set[int]]:
        written, busy = self._sorted(runs)
        for run in written:
            job = self.jobs[run.job_id]
            job.last_error = message
            job.run_at = max(self.now, job.run_at) + timedelta(seconds=math.exp(min(job.attempts, 10)))
            job.attempts = max(job.attempts, job.max_attempts) if final else job.attempts
        return self._finish(written), busy

    def give_back(self, runs: Sequence[ModelRun]) -> tuple[set[int], set[int]]:
        written, busy = self._sorted(runs)
        for run in written:
            job = self.jobs[run.job_id]
            if (job.attempts, job.key) == (run.attempt, run.key):
                job.attempts = max(0, job.attempts - 1)
        return self._finish(written), busy

    def release(self, pool: str, runs: Sequence[ModelRun]) -> set[int]:
        """The pool unlocks all but the jobs of these runs, and then the queues that it has for nothing."""
        known = {run.job_id for run in runs if (job := self.jobs.get(run.job_id)) and run.has(job.lock)}
        freed = {job.id for job in self.jobs.values() if job.lock.pool == pool and job.id not in known}
        freed -= self._held_jobs(deleting=False)
        for job_id in freed:
            job = self.jobs[job_id]
            removed = job.key is None and job.attempts >= job.max_attempts and job.id in self.touched
            job.attempts -= not removed and job.attempts > 0
            job.lock = UNLOCKED
        wanted = {job.queue for job in self.jobs.values() if job.lock.pool == pool} | {run.queue for run in runs}
        self._unlock_queues(name for name, lock in self.queues.items() if lock.pool == pool and name not in wanted)
        return freed

    def recover(self, pool: str, delay: timedelta, message: str) -> tuple[set[int], bool]:
        """A pool is dead: free what it has; its jobs wait, and keep the attempt as spent. Tell whether all is free."""
        has = {job.id for job in self.jobs.values() if job.lock.pool == pool}
        freed = has - self._held_jobs(deleting=False)
        kept = {self.jobs[job_id].queue for job_id in has - freed}
        for job_id in freed:
            job = self.jobs[job_id]
            job.run_at = max(job.run_at, self.now + delay)
            job.last_error = message
            job.lock = UNLOCKED
        self._unlock_queues(name for name, lock in self.queues.items() if lock.pool == pool and name not in kept)
        return freed, freed == has and all(lock.pool != pool for lock in self.queues.values())

    def unlock_expired(self) -> int:
        """Free what an owner that never registered has held for more than four hours; return how much."""
        jobs = [job for job in self.jobs.values() if self.is_expired(job.lock) and job.id not in self.held_jobs]
        for job in jobs:
            job.lock = UNLOCKED
            job.run_at = max(job.run_at, self.now)
        return len(jobs) + self._unlock_queues(name for name, lock in self.queues.items() if self.is_expired(lock))

    def _sorted(self, runs: Sequence[ModelRun], *, deleting: bool = False) -> tuple[list[ModelRun], set[int]]:
        """Return the runs that may be written, and the jobs of those that would be, if others had not locked them."""
        owned = [run for run in runs if self._owns(run)]
        held = self._held_jobs(deleting=deleting)
        busy = {
            run.job_id
            for run in owned
            if run.job_id in held or (run.queue in self.held_queues and run.has(self.queues[run.queue]))
        }
        return [run for run in owned if run.job_id not in busy], busy

    def _owns(self, run: ModelRun) -> bool:
        job = self.jobs.get(run.job_id)
        if job is None or not run.has(job.lock):
            return False
        was_removed = run.key is not None and job.key is None and job.attempts == job.max_attempts
        return job.attempts == run.attempt or was_removed

    def _held_jobs(self, *, deleting: bool) -> set[int]:
        return {job_id for job_id, is_update in self.held_jobs.items() if is_update or deleting}

    def _finish(self, runs: Sequence[ModelRun]) -> set[int]:
        for run in runs:
            if job := self.jobs.get(run.job_id):
                job.lock = UNLOCKED
            if run.queue is not None and run.has(self.queues[run.queue]):
                self.queues[run.queue] = UNLOCKED
        return {run.job_id for run in runs}

    def _unlock_queues(self, names: Iterable[str]) -> int:
        free = [name for name in names if name not in self.held_queues]
        self.queues |= dict.fromkeys(free, UNLOCKED)
        return len(free)

    def _is_claimable(self, job: ModelJob, tasks: Collection[str], flags: set[str]) -> bool:
        queue_is_free = job.queue is None or (self.queues[job.queue] is UNLOCKED and job.queue not in self.held_queues)
        return (
            job.available
            and queue_is_free
            and not self.held_jobs.get(job.id, False)
            and job.run_at <= self.now
            and job.task in tasks
            and not flags.intersection(job.flags or ())
        )
