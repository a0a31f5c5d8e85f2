"""The worker schema in plain Python: what the contract says that its functions and a worker's statements do.

Time stands still at ``now``, as in one transaction of PostgreSQL; what lies behind it is due.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

Lock = str | None

EXPIRED = "expired "
"""What a model's lock owner begins with when its lock is more than four hours old."""


@dataclass(frozen=True)
class Spec:
    """The arguments of add_job; None takes the schema's default."""

    task: str
    payload: Any = None
    queue: str | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    key: str | None = None
    priority: int | None = None
    flags: tuple[str, ...] | None = None


@dataclass
class ModelJob:
    """A row of ``_private_jobs``, with names in place of ids."""

    id: int
    task: str
    payload: Any
    queue: str | None
    run_at: datetime
    max_attempts: int
    key: str | None
    priority: int
    flags: tuple[str, ...] | None
    attempts: int = 0
    revision: int = 0
    last_error: str | None = None
    locked_by: Lock = None

    @property
    def available(self) -> bool:
        return self.locked_by is None and self.attempts < self.max_attempts

    @property
    def touchable(self) -> bool:
        """Whether the functions for people may change it: nobody has it, or somebody for more than four hours."""
        return self.locked_by is None or self.locked_by.startswith(EXPIRED)

    @property
    def urgency(self) -> tuple[int, datetime]:
        return self.priority, self.run_at


@dataclass
class Model:
    """All jobs and queues. ``updated`` has the ids of jobs whose updated_at the last call had to set.

    ``touched`` has those that were changed since they were added, by other than workers; ``claims``, for each pool and
    job, the attempt and the key of its last claim: what a run of it knows.
    """

    now: datetime
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    queues: dict[str, Lock] = field(default_factory=dict)
    updated: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    claims: dict[tuple[str, int], tuple[int, str | None]] = field(default_factory=dict)

    def touch(self, job: ModelJob) -> None:
        self.updated.add(job.id)
        self.touched.add(job.id)

    def with_key(self, key: str | None) -> ModelJob | None:
        return next((job for job in self.jobs.values() if key is not None and job.key == key), None)

    def add(self, spec: Spec, new_id: int, *, preserve_run_at: bool = False, dedupe: bool = False) -> int:
        """Add a job; ``new_id`` is its id if it is a new row. Return the id of the job that stands for it."""
        if spec.queue is not None:
            self.queues.setdefault(spec.queue, None)
        held = self.with_key(spec.key)
        if held is not None and dedupe:
            held.revision += 1
            self.touch(held)
            return held.id
        if held is not None and not held.available:
            held.key = None
            held.attempts = held.max_attempts
            self.touch(held)
            held = None
        new = ModelJob(
            id=new_id,
            task=spec.task,
            payload={} if spec.payload is None else spec.payload,
            queue=spec.queue,
            run_at=self.now if spec.run_at is None else spec.run_at,
            max_attempts=25 if spec.max_attempts is None else spec.max_attempts,
            key=spec.key,
            priority=0 if spec.priority is None else spec.priority,
            flags=tuple(sorted(set(spec.flags))) if spec.flags else None,
        )
        if held is not None:
            self.touch(held)
            both_lists = isinstance(held.payload, list) and isinstance(new.payload, list)
            new = replace(
                new,
                id=held.id,
                revision=held.revision + 1,
                payload=held.payload + new.payload if both_lists else new.payload,
                run_at=held.run_at if preserve_run_at and held.attempts == 0 else new.run_at,
            )
        self.jobs[new.id] = new
        self.updated.add(new.id)
        return new.id

    def remove(self, key: str) -> int | None:
        job = self.with_key(key)
        if job is None:
            return None
        if job.touchable:
            del self.jobs[job.id]
        else:
            job.key = None
            job.attempts = job.max_attempts
            self.touch(job)
        return job.id

    def complete_by_hand(self, ids: Collection[int]) -> set[int]:
        touched = self._touchable(ids)
        for job in touched:
            del self.jobs[job.id]
        return {job.id for job in touched}

    def fail_by_hand(self, ids: Collection[int], message: str | None) -> set[int]:
        touched = self._touchable(ids)
        for job in touched:
            job.last_error = "Manually marked as failed" if message is None else message
            job.attempts = job.max_attempts
            self.touch(job)
        return {job.id for job in touched}

    def reschedule(self, ids: Collection[int], changes: dict[str, Any]) -> set[int]:
        touched = self._touchable(ids)
        for job in touched:
            for name, value in changes.items():
                if value is not None:
                    setattr(job, name, value)
            self.touch(job)
        return {job.id for job in touched}

    def unlock(self, pools: Collection[str]) -> None:
        """Clear the locks of pools, expired or not."""
        for job in self.jobs.values():
            if job.locked_by is not None and job.locked_by.removeprefix(EXPIRED) in pools:
                job.locked_by = None
        for name, owner in self.queues.items():
            if owner is not None and owner.removeprefix(EXPIRED) in pools:
                self.queues[name] = None

    def expire(self, pool: str) -> None:
        """Let the locks of a pool grow older than four hours."""
        for job in self.jobs.values():
            if job.locked_by == pool:
                job.locked_by = EXPIRED + pool
        for name, owner in self.queues.items():
            if owner == pool:
                self.queues[name] = EXPIRED + pool

    def recover(self, pool: str, delay: timedelta, message: str) -> set[int]:
        """A pool is dead: free what it has; its jobs wait, and keep the attempt as spent."""
        freed = {job.id for job in self.jobs.values() if (job.locked_by or "").removeprefix(EXPIRED) == pool}
        for job_id in freed:
            self.jobs[job_id].run_at = max(self.jobs[job_id].run_at, self.now + delay)
            self.jobs[job_id].last_error = message
        self.unlock([pool])
        return freed

    def unlock_expired(self) -> int:
        """Free what an owner that never registered has held for more than four hours; return how many jobs."""
        expired = [job for job in self.jobs.values() if (job.locked_by or "").startswith(EXPIRED)]
        for job in expired:
            job.locked_by = None
            job.run_at = max(job.run_at, self.now)
        for name, owner in self.queues.items():
            self.queues[name] = None if (owner or "").startswith(EXPIRED) else owner
        return len(expired)

    def claim(self, pool: str, claimed: Sequence[int], count: int, tasks: Collection[str], flags: set[str]) -> None:
        """Check that a claim took what it had to take, and lock that."""
        lanes: dict[object, list[ModelJob]] = {}
        for job in self.jobs.values():
            if self._claimable(job, tasks, flags):
                lanes.setdefault(job.id if job.queue is None else job.queue, []).append(job)
        heads = sorted(min(job.urgency for job in lane) for lane in lanes.values())
        assert len(set(claimed)) == len(claimed)
        chosen = [self.jobs[job_id] for job_id in claimed]
        for job in chosen:
            assert job in lanes.pop(job.id if job.queue is None else job.queue, []), f"{job} was not to be had"
        assert sorted(job.urgency for job in chosen) == heads[:count]
        for job in chosen:
            job.attempts += 1
            job.locked_by = pool
            self.claims[pool, job.id] = job.attempts, job.key
            if job.queue is not None:
                self.queues[job.queue] = pool

    def complete(self, pool: str, ids: Collection[int]) -> set[int]:
        finished = self._owned(pool, ids)
        for job in finished:
            del self.jobs[job.id]
        return self._finish(pool, finished)

    def fail(self, pool: str, ids: Collection[int], message: str, *, final: bool) -> set[int]:
        finished = self._owned(pool, ids)
        for job in finished:
            job.last_error = message
            job.run_at = max(self.now, job.run_at) + timedelta(seconds=math.exp(min(job.attempts, 10)))
            job.attempts = max(job.attempts, job.max_attempts) if final else job.attempts
        return self._finish(pool, finished)

    def give_back(self, pool: str, ids: Collection[int]) -> set[int]:
        finished = self._owned(pool, ids)
        for job in finished:
            if (job.attempts, job.key) == self.claims[pool, job.id]:
                job.attempts = max(0, job.attempts - 1)
        return self._finish(pool, finished)

    def let_go(self, pool: str, known: Collection[int], queues: Collection[str | None]) -> set[int]:
        """The pool unlocks all but the jobs of the runs it knows, and then the queues that it has for nothing."""
        everything = self._held(pool, self.jobs)
        named = {job.id for job in self._owned(pool, known)}
        for job in everything:
            if job.id in named:
                continue
            removed = job.key is None and job.attempts >= job.max_attempts and job.id in self.touched
            job.attempts -= not removed and job.attempts > 0
            job.locked_by = None
        wanted = {job.queue for job in everything if job.id in named} | set(queues)
        for name, owner in self.queues.items():
            if owner is not None and owner.removeprefix(EXPIRED) == pool and name not in wanted:
                self.queues[name] = None
        return {job.id for job in everything} - named

    def _finish(self, pool: str, finished: Iterable[ModelJob]) -> set[int]:
        for job in finished:
            job.locked_by = None
            if job.queue is not None and (self.queues[job.queue] or "").removeprefix(EXPIRED) == pool:
                self.queues[job.queue] = None
        return {job.id for job in finished}

    def _claimable(self, job: ModelJob, tasks: Collection[str], flags: set[str]) -> bool:
        queue_is_free = job.queue is None or self.queues[job.queue] is None
        return (
            job.available
            and queue_is_free
            and job.run_at <= self.now
            and job.task in tasks
            and not flags.intersection(job.flags or ())
        )

    def _touchable(self, ids: Collection[int]) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.id in ids and job.touchable]

    def _owned(self, pool: str, ids: Collection[int]) -> list[ModelJob]:
        """The jobs among the ids that the pool has by its last claim of them."""
        return [job for job in self._held(pool, ids) if self._is_of_last_claim(pool, job)]

    def _is_of_last_claim(self, pool: str, job: ModelJob) -> bool:
        attempts, key = self.claims[pool, job.id]
        was_removed = key is not None and job.key is None and job.attempts == job.max_attempts
        return job.attempts == attempts or was_removed

    def _held(self, pool: str, ids: Collection[int]) -> list[ModelJob]:
        """The jobs among the ids that are locked for the pool; how old its lock is does not matter."""
        return [
            job
            for job in self.jobs.values()
            if job.id in ids and job.locked_by is not None and job.locked_by.removeprefix(EXPIRED) == pool
        ]
