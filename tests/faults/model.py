"""The worker schema in plain Python: what the contract says that its functions do; workers: `tests.faults.model_runs`.

Time stands still at ``now``, as in one transaction of PostgreSQL; what lies behind it is due.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

LONGEST_LOCK = timedelta(hours=4)
"""From then on the functions for people touch a job that is locked."""


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


class Lock(NamedTuple):
    """Who has locked a job or a queue, and when; nobody is (None, None)."""

    pool: str | None = None
    at: datetime | None = None

    def aged(self, age: timedelta) -> Lock:
        assert self.at is not None
        return self._replace(at=self.at - age)


UNLOCKED = Lock()


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
    lock: Lock = UNLOCKED

    @property
    def available(self) -> bool:
        return self.lock is UNLOCKED and self.attempts < self.max_attempts

    @property
    def urgency(self) -> tuple[int, datetime]:
        return self.priority, self.run_at


@dataclass
class Model:
    """All jobs and queues. ``updated`` has the ids of jobs whose updated_at the last call had to set.

    ``touched`` has those that were changed since they were added, by other than workers.
    """

    now: datetime
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    queues: dict[str, Lock] = field(default_factory=dict)
    updated: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)

    def touch(self, job: ModelJob) -> None:
        self.updated.add(job.id)
        self.touched.add(job.id)

    def with_key(self, key: str | None) -> ModelJob | None:
        return next((job for job in self.jobs.values() if key is not None and job.key == key), None)

    def add(self, spec: Spec, new_id: int, *, preserve_run_at: bool = False, dedupe: bool = False) -> int:
        """Add a job; ``new_id`` is its id if it is a new row. Return the id of the job that stands for it."""
        if spec.queue is not None:
            self.queues.setdefault(spec.queue, UNLOCKED)
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
        if self._is_touchable(job):
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
            if job.lock.pool in pools:
                job.lock = UNLOCKED
        for name, lock in self.queues.items():
            if lock.pool in pools:
                self.queues[name] = UNLOCKED

    def age(self, pool: str, by: timedelta) -> None:
        """Let the locks of a pool grow older."""
        for job in self.jobs.values():
            job.lock = _aged(job.lock, by) if job.lock.pool == pool else job.lock
        for name, lock in self.queues.items():
            self.queues[name] = _aged(lock, by) if lock.pool == pool else lock

    def is_expired(self, lock: Lock) -> bool:
        return lock.at is not None and lock.at < self.now - LONGEST_LOCK

    def _is_touchable(self, job: ModelJob) -> bool:
        """Whether the functions for people may change it: nobody has it, or somebody for more than four hours."""
        return job.lock is UNLOCKED or self.is_expired(job.lock)

    def _touchable(self, ids: Collection[int]) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.id in ids and self._is_touchable(job)]


def _aged(lock: Lock, by: timedelta) -> Lock:
    assert lock.at is not None
    return Lock(lock.pool, lock.at - by)
