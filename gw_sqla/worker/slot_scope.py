"""Slot: what one slot's task knows of the job that it runs, and the cancel scope that it runs in.

The scope is there so that the handler of a job whose lock was lost can be cancelled; the slot then goes on in
a new one. It also shows what a handler leaves behind: one that returns with a task group or a cancel scope open
has put its slot's task inside that, and what happens to it would happen to later jobs. Neither costs a scope for a job.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome
from gw_sqla.worker.open_scopes import innermost_scope

__all__ = ["Slot", "SpoiledError"]

log = logging.getLogger(__name__)

SPOILED_MESSAGE = "the handler left a task group or cancel scope open"


class SpoiledError(Exception):
    """The slot's task is inside a scope that a handler has left open: it cannot go on."""


class Slot:
    """One of the tasks that run jobs. ``lost``: the lock of its job was lost. ``is_spoiled``: it needs a new task."""

    job: ClaimedJob
    scope: anyio.CancelScope

    def __init__(self) -> None:
        self.lost = False
        self.is_spoiled = False

    @contextmanager
    def new_scope(self) -> Iterator[None]:
        """Run the block inside a scope of the slot's own, in the task that runs the jobs."""
        self.lost = False
        with anyio.CancelScope() as self.scope:
            self._innermost = innermost_scope()
            self._own = self._innermost()
            yield

    def has_open_scope(self) -> bool:
        """Tell whether a handler has left the task inside a scope that is not the slot's own."""
        return self._innermost() is not self._own

    def spoiled_by(self, outcome: Outcome) -> Outcome:
        """Note that the job's handler has left a scope open; return what becomes of the job."""
        self.is_spoiled = True
        job = outcome.job
        log.error("job %d (%s): %s; its slot goes on in a new task", job.id, job.task_identifier, SPOILED_MESSAGE)
        return Failed(job=job, message=SPOILED_MESSAGE) if type(outcome) is Completed else outcome
