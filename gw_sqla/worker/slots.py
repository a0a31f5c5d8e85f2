"""Slots: ``concurrency`` long-lived tasks that run claimed jobs, one at a time each, from one local queue.

On asyncio a cancellation can outlive its job: a handler cancels the task that runs it and returns, or leaves that
task to somebody who cancels it later. A slot that is not being stopped outlives such a cancellation, too: it would take
its whole task group, the worker, with it.

For what a handler may leave behind (`gw_sqla.worker.slot_scope`) each slot is two tasks, the outer of which only waits:
one that a handler has spoiled is given up.

A handler that never waits for anything would let one slot run the whole queue while the event loop
stands still; so a slot lets the others have a turn every few milliseconds, and, with prefetch, when a claim is
due: two turns, one for the claimer and one for the call of the driver that it makes (on trio). Without prefetch that
would make two claims of one: for the first slot that is free, and for all others. At its turn a slot also looks
whether the pool has its lease: without it no job begins.

For such handlers one slot is enough, and to wake another costs as much as to run a job; for handlers that wait, all
slots must begin soon. So jobs wake two idle slots, and a slot that takes one wakes up to two more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from time import monotonic

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Failed, Outcome, Returned
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.local_queue import LocalQueue
from gw_sqla.worker.slot_scope import Slot, SpoiledError

__all__ = ["Slots"]

log = logging.getLogger(__name__)

SHUTDOWN_MESSAGE = "the worker was shut down before the job ended"
LOST_MESSAGE = "the lock of the job was lost while it ran"

_TURN = 0.002
"""Seconds for which slots go on without a turn for the event loop; shorter costs throughput."""

_LOOK_FOR_LEASE = 0.05

_WAKING = 2
"""How many slots may be waking up at a time."""


class Slots:
    """Takes claimed jobs, runs them, hands each outcome to ``finish``.

    An idle slot waits on an Event of its own. ``ended`` is set
    when the last slot has ended. ``on_free`` is called when `wanted` may have grown, and tells whether a
    claim begins. Once ``stopping`` is set no job begins any more. ``lost`` is given the outcomes
    that must not be written: the lock is not ours.
    """

    def __init__(
        self,
        concurrency: int,
        queue: LocalQueue,
        *,
        execute: Callable[[ClaimedJob], Awaitable[Outcome]],
        finish: Callable[[Outcome], None],
        lost: Callable[[Outcome], None],
        lease: Lease,
        on_free: Callable[[], bool],
        stopping: anyio.Event,
    ) -> None:
        self._concurrency = concurrency
        self._queue = queue
        self._execute = execute
        self._finish = finish
        self._lost = lost
        self._lease = lease
        self._on_free = on_free
        self._stopping = stopping
        self._running: dict[int, Slot] = {}
        self._idle: list[anyio.Event] = []
        self._waking = 0
        self._turn_began = 0.0
        self._closed = False
        self._left = concurrency
        self.ended = anyio.Event()

    def wanted(self) -> int:
        """How many jobs to claim now: none, or at least a batch."""
        return self._queue.wanted(len(self._running))

    @property
    def is_idle(self) -> bool:
        """Whether no job waits here or runs."""
        return not self._running and not self._queue

    @property
    def known_ids(self) -> list[int]:
        """The ids of the jobs that wait here or run."""
        return [*self._running, *(job.id for job in self._queue.jobs)]

    @property
    def jobs(self) -> list[ClaimedJob]:
        """The jobs that wait here or run."""
        return [*(slot.job for slot in self._running.values()), *self._queue.jobs]

    def start(self, task_group: TaskGroup) -> None:
        """Start the slots in a task group; cancelling it cancels and fails the jobs that run."""
        for number in range(self._concurrency):
            task_group.start_soon(self._slot, name=f"gw_sqla slot {number}")

    def give(self, jobs: Collection[ClaimedJob]) -> None:
        """Queue jobs for the slots, in this order.

        A run of one of them that goes on is cut off: the pool had lost that lock before it took it anew.
        """
        if not self._running.keys().isdisjoint(job.id for job in jobs):
            self.lose([self._running[job.id].job for job in jobs if job.id in self._running])
        if not self._queue:
            self._turn_began = monotonic()
        self._queue.put(jobs)
        self._wake()

    def _wake(self) -> None:
        """Wake idle slots for the jobs that wait, a few at a time."""
        while self._waking < min(_WAKING, len(self._queue)) and self._idle:
            self._waking += 1
            self._idle.pop().set()

    def lose(self, jobs: Iterable[ClaimedJob]) -> None:
        """Cut off these runs of jobs, as far as they are here still: their locks were lost.

        Those that run are cancelled, those that wait are dropped; nothing of them is written.
        """
        lost = {id(job) for job in jobs}  # this run of a job, not another one of it
        if not lost:
            return
        for slot in [slot for slot in self._running.values() if id(slot.job) in lost]:
            log.error("job %d (%s) is cancelled: %s", slot.job.id, slot.job.task_identifier, LOST_MESSAGE)
            del self._running[slot.job.id]
            slot.lost = True
            slot.scope.cancel()
        for job in self._queue.drop(lost):
            self._lost(Returned(job))

    def close(self) -> None:
        """Let the slots end after the jobs they run; the jobs that were not started are returned."""
        self._closed = True
        self._return(self._queue.take_all())
        self._waking += len(self._idle)
        while self._idle:
            self._idle.pop().set()

    async def return_stale(self) -> None:
        """Return jobs that have waited for longer than their time to live, until cancelled."""
        while self._queue.prefetch:
            await anyio.sleep(max(0.001, self._queue.seconds_to_live))
            self._return(self._queue.take_stale())

    def _return(self, jobs: Iterable[ClaimedJob]) -> None:
        for job in jobs:
            self._finish(Returned(job))

    async def _slot(self) -> None:
        """Run jobs in a task of its own, and in a new one after a handler has spoiled that."""
        name = anyio.get_current_task().name
        try:
            while True:
                slot = Slot()
                try:
                    async with anyio.create_task_group() as task_group:
                        task_group.start_soon(self._keep_running, slot, name=name)
                    return
                except BaseException:  # of the event loop, about what the handler left behind
                    if not slot.is_spoiled:
                        raise
        finally:
            self._left -= 1
            if self._left == 0:
                self.ended.set()

    async def _keep_running(self, slot: Slot) -> None:
        """Run jobs; in a new scope after a lost lock, and after a cancellation that outlived its job."""
        ended = False
        while not ended:
            try:
                with slot.new_scope():
                    ended = await self._run_jobs(slot)
            except anyio.get_cancelled_exc_class():
                if anyio.current_effective_deadline() == -float("inf"):
                    raise
                _forget_cancellation()

    async def _run_jobs(self, slot: Slot) -> bool:
        """Run jobs until the slots are closed; False where the slot needs a new scope, after a lost lock."""
        while True:
            while not self._queue:
                if self._closed:
                    return True
                await self._woken()
            if monotonic() - self._turn_began > _TURN:
                if self._lease.is_held:
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                    self._turn_began = monotonic()
                else:
                    await anyio.sleep(_LOOK_FOR_LEASE)
                continue  # the queue may be empty now
            if self._stopping.is_set():
                return True
            job = self._queue.take()
            if self._waking < _WAKING:
                self._wake()
            await self._run(slot, job)
            if slot.lost:
                return False
            if self._queue.has_room_for_a_batch() and self._on_free() and self._queue.prefetch:
                self._turn_began = 0.0

    async def _woken(self) -> None:
        wake = anyio.Event()
        self._idle.append(wake)
        try:
            await wake.wait()
        finally:
            if wake.is_set():
                self._waking -= 1
            else:
                self._idle.remove(wake)

    async def _run(self, slot: Slot, job: ClaimedJob) -> None:
        slot.job = job
        self._running[job.id] = slot
        outcome: Outcome | None = None
        try:
            outcome = await self._execute(job)
            if slot.has_open_scope():
                outcome = slot.spoiled_by(outcome)
                raise SpoiledError
        finally:
            self._queue.is_stalled = False
            if slot.lost:
                self._lost(outcome or Failed(job=job, message=LOST_MESSAGE))
                self._on_free()
            else:
                if outcome is None:
                    log.warning("job %d (%s) was cancelled: %s", job.id, job.task_identifier, SHUTDOWN_MESSAGE)
                    outcome = Failed(job=job, message=SHUTDOWN_MESSAGE)
                del self._running[job.id]
                self._finish(outcome)


def _forget_cancellation() -> None:
    """Go on after a cancellation of the asyncio task that no scope of ours asked for."""
    log.warning("a cancellation reached a slot without a job: did a handler cancel its own task, or pass it on?")
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
