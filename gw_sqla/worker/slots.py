"""Slots: ``concurrency`` long-lived tasks that take claimed jobs from one local queue and run them, one at a time each.

What happens in the task of a slot: `gw_sqla.worker.slot`. Here is who runs what, and when.

A job can be claimed anew while an older run of it is here still: somebody unlocked it. The older run is lost, and
cancelled; the newer one begins when the older has ended. A thread cannot be cancelled: its slot is busy until it ends.

A handler that never waits for anything would let one slot run the whole queue while the event loop
stands still; so a slot lets the others have a turn every few milliseconds, and, with prefetch, when a claim is
due: two turns, one for the claimer and one for the call of the driver that it makes (on trio). Without prefetch that
would make two claims of one: for the first slot that is free, and for all others. At its turn a slot also looks
whether the pool has its lease: without it no job begins.

For such handlers one slot is enough, and to wake another costs as much as to run a job; for handlers that wait, all
slots must begin soon. So jobs wake one idle slot, and a slot that takes one wakes another; two, once a handler waits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from time import monotonic

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned
from gw_sqla.jobs.run import LOST, Run
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.local_queue import LocalQueue
from gw_sqla.worker.slot import Slot
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["Slots"]

log = logging.getLogger(__name__)

SHUTDOWN_MESSAGE = "the worker was shut down before the job ended"
LOST_MESSAGE = "the lock of the job was lost while it ran"

_TURN = 0.002
"""Seconds for which slots go on without a turn for the event loop; shorter costs throughput."""

_LOOK_FOR_LEASE = 0.05

_WAKING = 2
"""How many slots may be waking up at a time, while a handler waits; one, while none does."""


class Slots:
    """Takes runs, runs them, hands each to ``finish`` when it has ended.

    An idle slot waits on an Event of its own. ``ended`` is set when the last slot has ended. ``on_free`` is called when
    `wanted` may have grown, and tells whether a claim begins. Once a ``stop`` is requested no job begins any more.
    """

    def __init__(
        self,
        concurrency: int,
        queue: LocalQueue,
        *,
        execute: Callable[[Run], Awaitable[Outcome]],
        finish: Callable[[Run], None],
        superseded: Callable[[Run], None],
        known: KnownRuns,
        lease: Lease,
        on_free: Callable[[], bool],
        stop: StopRequest,
        outcome_log: OutcomeLog | None = None,
    ) -> None:
        self._queue = queue
        self._execute = execute
        self._finish = finish
        self._superseded = superseded
        self._known = known
        self._lease = lease
        self._on_free = on_free
        self._stop = stop
        self._log = outcome_log or OutcomeLog()
        self._slots = [Slot() for _ in range(concurrency)]
        self._successors: dict[Run, Run | None] = {}  # lost runs that go on, each with what begins when it has ended
        self._busy = 0
        self._idle: list[anyio.Event] = []
        self._waking = 0
        self._turn_began = 0.0
        self._closed = False
        self._left = concurrency
        self.ended = anyio.Event()

    def wanted(self) -> int:
        """How many jobs to claim now: none, or at least a batch. What waits behind a lost run has that one's slot."""
        return self._queue.wanted(self._busy)

    @property
    def are_out_of_jobs(self) -> bool:
        """Whether no job waits for a slot."""
        return not self._queue

    def running(self) -> list[Run]:
        """The runs whose handlers go on, those that were lost too."""
        return [slot.run for slot in self._slots if slot.run]

    def start(self, task_group: TaskGroup) -> None:
        """Start the slots in a task group; cancelling it cancels and fails the jobs that run."""
        for number, slot in enumerate(self._slots):
            task_group.start_soon(self._keep_running, slot, name=f"gw_sqla slot {number}")

    def give(self, runs: Collection[Run]) -> None:
        """Queue runs for the slots, in this order."""
        older = self._known.add(runs)
        if older or self._successors:
            runs = self._in_turn(older, runs)
        if not self._queue:
            self._turn_began = monotonic()
        self._queue.put(runs)
        self._wake()

    def _in_turn(self, older: Collection[Run], runs: Collection[Run]) -> list[Run]:
        """Lose the older runs of the same jobs; return what need not wait for the end of one of them."""
        self.lose(older)
        for run in older:
            self._superseded(run)
        running = {slot.run.job.id: slot.run for slot in self._slots if slot.run}
        self._successors |= {running[run.job.id]: run for run in runs if run.job.id in running}
        return [run for run in runs if run.job.id not in running]

    def _wake(self) -> None:
        """Wake idle slots for the jobs that wait, a few at a time."""
        most = min(_WAKING if self._busy else 1, len(self._queue))
        while self._waking < most and self._idle:
            self._waking += 1
            self._idle.pop().set()

    def lose(self, runs: Iterable[Run]) -> None:
        """Cut these runs off: their locks were lost. One that runs is cancelled, one that waits does not begin."""
        lost = {run for run in runs if run.lose()}
        for slot in self._slots:
            if slot.run in lost:
                lost.remove(slot.run)
                job = slot.run.job
                log.error("job %d (%s) is cancelled: %s", job.id, job.task_identifier, LOST_MESSAGE)
                slot.scope.cancel()
        if lost:
            self._queue.drop(lost)
            self._successors = {older: None if run in lost else run for older, run in self._successors.items()}
            self._return(lost)

    def close(self) -> None:
        """Let the slots end after the jobs they run; the jobs that were not started are returned."""
        self._closed = True
        self._return([*self._queue.take_all(), *filter(None, self._successors.values())])
        self._successors.clear()
        self._waking += len(self._idle)
        while self._idle:
            self._idle.pop().set()

    async def return_stale(self) -> None:
        """Return jobs that have waited for longer than their time to live, until cancelled."""
        while self._queue.prefetch:
            await anyio.sleep(max(0.001, self._queue.seconds_to_live))
            self._return(self._queue.take_stale())

    def _return(self, runs: Iterable[Run]) -> None:
        for run in runs:
            run.end(Returned(run.job))
            self._finish(run)

    async def _keep_running(self, slot: Slot) -> None:
        try:
            while not await slot.run_in_new_task(self._run_jobs):
                if (run := slot.run) and (thread_ended := run.thread_ended):
                    await anyio.to_thread.run_sync(thread_ended.wait, abandon_on_cancel=True)
                    self._free(slot, run)
        finally:
            self._left -= 1
            if self._left == 0:
                self.ended.set()

    async def _run_jobs(self, slot: Slot) -> bool:
        """Run jobs until the slots are closed; False where the slot needs a new task."""
        while True:
            while not self._queue:
                if self._closed:
                    return True
                await self._wait_for_wake()
            now = monotonic()
            if now - self._turn_began > _TURN:
                if self._lease.is_held:
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                    self._turn_began = monotonic()
                else:
                    await anyio.sleep(_LOOK_FOR_LEASE)
                continue  # the queue may be empty now
            if self._stop.is_requested:
                return True
            claimed, run = self._queue.take()
            run.begin(now, claimed)
            if not self._waking or (self._busy and self._waking < _WAKING):
                self._wake()
            if await self._run(slot, run) and await slot.has_traces_still():
                return False

    async def _wait_for_wake(self) -> None:
        wake = anyio.Event()
        self._idle.append(wake)
        try:
            await wake.wait()
        finally:
            if wake.is_set():
                self._waking -= 1
            else:
                self._idle.remove(wake)

    async def _run(self, slot: Slot, run: Run) -> bool:
        """Run a job; return whether something may be left behind in this task."""
        slot.run = run
        self._busy += 1
        try:
            outcome = await self._execute(run)
            if not slot.traces.are_there():
                return self._end(slot, run, outcome)
            if slot.give_up_if_spoiled():
                outcome = run.timed(slot.spoiled_by(outcome))
        except anyio.get_cancelled_exc_class():
            if not slot.give_up_if_spoiled():  # or perhaps nothing is cancelled but what the handler has left open
                self._end(slot, run, self._cut_off(run))
                raise
            outcome = run.timed(slot.spoiled_by(Completed(run.job)))
        except BaseException:
            self._end(slot, run, self._cut_off(run))
            raise
        self._end(slot, run, outcome)
        slot.leave_if_spoiled()
        return True

    def _end(self, slot: Slot, run: Run, outcome: Outcome) -> bool:
        """End a run, and free its slot; return whether the run was lost.

        The claimer is woken before the finisher: others wait for the next jobs, and nobody for what is written.
        """
        self._queue.is_stalled = False
        run.end(outcome)
        if run.state is not LOST:
            slot.run = None
            self._busy -= 1
            if self._successors:
                self._begin_successor(run)
            if self._queue.has_room_for_a_batch() and self._on_free() and self._queue.prefetch:
                self._turn_began = 0.0
            self._finish(run)
            return False
        self._finish(run)
        if run.thread_ended is None:
            self._free(slot, run)
        else:  # it is known no more, and its thread goes on
            self._successors.setdefault(run, None)
        return True

    def _cut_off(self, run: Run) -> Outcome:
        """Return what became of a run that was cancelled."""
        if run.state is LOST:
            return run.timed(Failed(job=run.job, message=LOST_MESSAGE))
        failed = run.timed(Failed(job=run.job, message=SHUTDOWN_MESSAGE))
        self._log.failed(failed)
        return failed

    def _free(self, slot: Slot, run: Run) -> None:
        """Let the slot of a lost run take another one."""
        slot.run = None
        self._busy -= 1
        self._begin_successor(run)
        self._on_free()

    def _begin_successor(self, run: Run) -> None:
        """Queue what has waited for the end of this run."""
        if newer := self._successors.pop(run, None):
            self._queue.put([newer])
            self._wake()
