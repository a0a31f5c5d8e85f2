"""Slot: one of those that run jobs: its task, the run that is in it, and the cancel scope around both.

The scope is there so that the handler of a job whose lock was lost can be cancelled. The task is another one when
that has happened, and when a handler has left something behind (`gw_sqla.worker.task_traces`): each slot is two tasks,
the outer of which only waits. One that a handler has left inside a cancel scope or a task group of its own is given
up: what happens to that scope would happen to later jobs.

On asyncio a cancellation can outlive its job: a handler cancels the task that runs it and returns. A slot that is not
being stopped outlives it, too: it would take its whole task group, the worker, with it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

from gw_sqla.execution.current_job import CurrentJob, look_for_job_by
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome
from gw_sqla.jobs.run import Run
from gw_sqla.worker.task_traces import TaskTraces

__all__ = ["SPOILED_MESSAGE", "Slot"]

log = logging.getLogger(__name__)

SPOILED_MESSAGE = "the handler left a task group or cancel scope open"


class _SpoiledError(Exception):
    """The slot's task is inside a scope that a handler has left open: it cannot go on."""


class Slot:
    """``run`` is what it runs now, ``scope`` what cancels that, ``traces`` what is left behind in its task."""

    scope: anyio.CancelScope
    traces: TaskTraces

    def __init__(self) -> None:
        self.run: Run | None = None
        self._is_given_up = False

    async def has_traces_still(self) -> bool:
        """Tell whether the traces of a handler are there after a turn of the event loop: some go by themselves."""
        await anyio.lowlevel.checkpoint()
        return self.traces.are_there()

    def give_up_if_spoiled(self) -> bool:
        """Give the task up where a handler has left it inside a scope that is not the slot's own; tell whether."""
        self._is_given_up = self.traces.has_open_scope()
        return self._is_given_up

    def spoiled_by(self, outcome: Outcome) -> Outcome:
        """Return what becomes of the job whose handler has left a scope open."""
        job = outcome.job
        log.error("job %d (%s): %s; its slot goes on in a new task", job.id, job.task_identifier, SPOILED_MESSAGE)
        return Failed(job=job, message=SPOILED_MESSAGE) if type(outcome) is Completed else outcome

    def leave_if_spoiled(self) -> None:
        """Leave the task that is given up, by an exception that `run_in_new_task` catches."""
        if self._is_given_up:
            raise _SpoiledError

    async def run_in_new_task(self, run_jobs: Callable[[Slot], Awaitable[bool]]) -> bool:
        """Run jobs in a task until all is done; False where they are to go on in another one."""
        is_done = False
        self._is_given_up = False

        async def work() -> None:
            nonlocal is_done
            is_done = await self._in_scope(run_jobs)

        try:
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(work, name=anyio.get_current_task().name)
        except BaseException:  # of the event loop, about what the handler left behind
            if not self._is_given_up:
                raise
        return is_done

    def _current_job(self) -> CurrentJob | None:
        return None if self.run is None else CurrentJob.of(self.run.job)

    async def _in_scope(self, run_jobs: Callable[[Slot], Awaitable[bool]]) -> bool:
        with anyio.CancelScope() as self.scope:
            look_for_job_by(self._current_job)
            self.traces = TaskTraces()
            try:
                return await run_jobs(self)
            except anyio.get_cancelled_exc_class():
                if anyio.current_effective_deadline() == -float("inf"):
                    raise
                log.warning(
                    "a cancellation reached a slot without a job: did a handler cancel its own task, or pass it on?"
                )
        return False
