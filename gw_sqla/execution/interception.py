"""Interception: a task's call, wrapped by the interceptors of a worker; what it means is said at
`gw_sqla.hooks.interceptor`.

Bound once for each task, so that a worker without interceptors has nothing of it on a job's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from gw_sqla.errors import Snooze
from gw_sqla.execution.handler_transaction import Call
from gw_sqla.hooks.interceptor import SKIP, Interceptor
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Task

__all__ = ["intercepted"]


def intercepted(task: Task[Any], call: Call, interceptors: Sequence[Interceptor]) -> Call:
    """Return the call inside all interceptors, the first of which is the outermost."""
    for interceptor in reversed(interceptors):
        call = _wrapped(task, call, interceptor)
    return call


def _wrapped(task: Task[Any], call: Call, interceptor: Interceptor) -> Call:
    run_job = interceptor.run_job
    name = type(interceptor).__name__
    is_batch = task.batch

    async def wrapped(run: Run) -> Any:
        next_step = _NextStep(run, call, name, is_batch=is_batch)
        try:
            result = await run_job(run.job, next_step)
        finally:
            next_step.is_over = True
        if next_step.has_returned or result is SKIP or isinstance(result, Snooze):
            return result
        raise RuntimeError(next_step.complaint())

    return wrapped


class _NextStep:
    """What an interceptor is given to call: once, while it runs."""

    __slots__ = ("_call", "_is_batch", "_name", "_run", "_was_cut_off", "has_begun", "has_returned", "is_over")

    def __init__(self, run: Run, call: Call, name: str, *, is_batch: bool) -> None:
        self._run = run
        self._call = call
        self._name = name
        self._is_batch = is_batch
        self._was_cut_off = False
        self.has_begun = self.has_returned = self.is_over = False

    async def __call__(self, job: ClaimedJob) -> Any:
        if self.has_begun:
            raise RuntimeError(f"the interceptor {self._name} has called call_next twice: a job runs once")
        if self.is_over:
            raise RuntimeError(f"the interceptor {self._name} has called call_next after its end")
        self.has_begun = True
        run = self._run
        claimed = run.job
        if job is not claimed:
            self._check(claimed, job)
            run.job = claimed._replace(payload_text=job.payload_text)
        try:
            result = await self._call(run)
        except anyio.get_cancelled_exc_class():
            self._was_cut_off = True
            raise
        except BaseException:
            self.has_returned = True
            raise
        finally:
            run.job = claimed
        self.has_returned = True
        return result

    def complaint(self) -> str:
        """Say why what the interceptor returned is no outcome."""
        if self._was_cut_off:
            return f"the interceptor {self._name} has cut off the handler, or caught a cancellation, and returned"
        if self.has_begun:
            return f"the interceptor {self._name} has returned before the handler did"
        return f"the interceptor {self._name} has returned and not called call_next: to skip a job it returns SKIP"

    def _check(self, claimed: ClaimedJob, job: object) -> None:
        if not isinstance(job, ClaimedJob):
            raise TypeError(
                f"the interceptor {self._name} has given call_next a {type(job).__name__}: it takes the job, "
                "or job.with_payload(...)"
            )
        if job.id != claimed.id:
            raise TypeError(f"the interceptor {self._name} has given call_next another job than it was given")
        if self._is_batch and _count(job) != _count(claimed):
            raise TypeError(f"the interceptor {self._name} has changed the number of a batch's items")


def _count(job: ClaimedJob) -> int:
    payload = job.payload
    return len(payload) if isinstance(payload, list) else -1
