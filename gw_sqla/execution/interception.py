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
    """Return the call inside one interceptor. Closures, since an object for each job would cost as much as all else."""
    run_job = interceptor.run_job
    name = type(interceptor).__name__
    is_batch = task.batch

    async def wrapped(run: Run) -> Any:
        state = _FREE
        claimed = run.job

        async def call_next(job: ClaimedJob) -> Any:
            nonlocal state
            if state != _FREE:
                raise RuntimeError(_REFUSALS.get(state, _TWICE).format(name))
            state = _BEGUN
            if job is not claimed:
                _check(name, claimed, job, is_batch=is_batch)
                run.job = claimed._replace(payload_text=job.payload_text)
            try:
                result = await call(run)
            except anyio.get_cancelled_exc_class():
                state = _CUT_OFF
                raise
            except BaseException:
                state = _RETURNED
                raise
            finally:
                run.job = claimed
            state = _RETURNED
            return result

        try:
            result = await run_job(claimed, call_next)
        except BaseException:
            state = _OVER if state == _FREE else state
            raise
        if state == _RETURNED:
            return result
        reached, state = state, _OVER
        if result is SKIP or isinstance(result, Snooze):
            return result
        raise RuntimeError(_COMPLAINTS[reached].format(name))

    return wrapped


_FREE, _BEGUN, _RETURNED, _CUT_OFF, _OVER = range(5)
"""How far a ``call_next`` is: not called; called; the handler has ended; was cancelled; the interceptor has ended."""

_TWICE = "the interceptor {} has called call_next twice: a job runs once"
_REFUSALS = {_OVER: "the interceptor {} has called call_next after its end"}
_COMPLAINTS = {
    _FREE: "the interceptor {} has returned and not called call_next: to skip a job it returns SKIP",
    _BEGUN: "the interceptor {} has returned before the handler did",
    _CUT_OFF: "the interceptor {} has cut off the handler, or caught a cancellation, and returned",
}


def _check(name: str, claimed: ClaimedJob, job: object, *, is_batch: bool) -> None:
    if not isinstance(job, ClaimedJob):
        raise TypeError(
            f"the interceptor {name} has given call_next a {type(job).__name__}: it takes the job, "
            "or job.with_payload(...)"
        )
    if job.id != claimed.id:
        raise TypeError(f"the interceptor {name} has given call_next another job than it was given")
    if is_batch and _count(job) != _count(claimed):
        raise TypeError(f"the interceptor {name} has changed the number of a batch's items")


def _count(job: ClaimedJob) -> int:
    payload = job.payload
    return len(payload) if isinstance(payload, list) else -1
