"""Forwarder: hands the claimed jobs of one sink's tasks over to it, a claim at a time, and says what became of each.

It stands beside the slots: a claimer of its own gives it jobs, the finisher writes what it says. While one claim is
being sent, the next is fetched and the one before is written. What is confirmed is completed; what the sink says is
wrong with one message fails that job, with the task's backoff.

**An outage** is not the jobs' fault. After an error of the connection's kind all that is not confirmed is given back,
attempts too, for whichever worker can reach the sink; this one says so once, claims nothing, and opens the sink anew,
with backoff, until it can. As it cannot know what had arrived, that is sent once more: at least once.

**A message that ends the connection**, or is never confirmed, looks like an outage each time. So after one fewer jobs
are claimed, down to one; one job alone to which it happens fails at last (`gw_sqla.worker.sink_calls`).

**Order.** Jobs of one queue that were claimed together are sent together, in order, and their outcomes are handed over
at once, those to be given back first (`gw_sqla.worker.outcome_writer`): each write unlocks the queue, and whoever
claims next must find the earliest of those that were not confirmed.

A cancellation, at the end of the grace period, ends the sending; what was not confirmed is given back.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gw_sqla.database.outage import Outage
from gw_sqla.execution.forwarded_tasks import forwarding_of
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.execution.sink import Message
from gw_sqla.hooks.events import JobStarted
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned
from gw_sqla.jobs.run import LOST, Run
from gw_sqla.jobs.task import Task
from gw_sqla.worker.forwarding_steps import message_or_outcome, outcome_of
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.sink_calls import UNREACHABLE, SinkCalls
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["Forwarder"]

log = logging.getLogger(__name__)

_FEWER = 8
"""By this factor fewer jobs are claimed after an outage, and more after each batch that went well."""


class Forwarder:
    """Takes runs and forwards them; ``ended`` is set when it has ended.

    ``lose`` cuts runs off whose locks were lost; ``on_free`` is called when `wanted` may have grown, ``on_reached``
    when the sink was opened again.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        *,
        finish: Callable[[Run], None],
        superseded: Callable[[Run], None],
        lose: Callable[[Iterable[Run]], None],
        known: KnownRuns,
        lease: Lease,
        on_free: Callable[[], object],
        on_reached: Callable[[], None],
        observers: Observers,
        stop: StopRequest,
        outcome_log: OutcomeLog,
    ) -> None:
        forwarding = forwarding_of(next(iter(tasks.values())))
        self._tasks = tasks
        self._sink = SinkCalls(forwarding.sink, forwarding.timeout.total_seconds())
        self._batch = self._limit = forwarding.batch
        self._finish = finish
        self._superseded = superseded
        self._lose = lose
        self._known = known
        self._lease = lease
        self._on_free = on_free
        self._on_reached = on_reached
        self._observers = observers
        self._is_observed = observers.hear_of_jobs
        self._tells_starts = observers.hear_of(JobStarted)
        self._stop = stop
        self._log = outcome_log
        self._waiting: deque[tuple[float, list[Run]]] = deque()
        self._sending: Sequence[Run] = ()
        self._fault: BaseException | None = None
        self._closed = False
        self._wake = anyio.Event()
        self._outage_scope = anyio.CancelScope()
        self._outage = Outage(f"forwarding to {self.name}", observers)
        self.ended = anyio.Event()

    @property
    def name(self) -> str:
        """What it is in the log."""
        return f"{self._sink.name} ({', '.join(self._tasks)})"

    def wanted(self) -> int:
        """How many jobs to claim now: none while some wait, or while the sink is out of reach."""
        return 0 if self._waiting or self._fault is not None else self._limit

    def running(self) -> list[Run]:
        """The runs that are being sent."""
        return list(self._sending)

    def give(self, runs: Collection[Run]) -> None:
        """Queue runs that were claimed together."""
        older = self._known.add(runs)
        if older:
            self._lose(older)
            for run in older:
                self._superseded(run)
        if runs:
            self._waiting.append((monotonic(), list(runs)))
            self._wake.set()

    async def open(self) -> None:
        """Open the sink; where it is out of reach, that is waited out later. Raises what cannot work."""
        try:
            await self._sink.open()
        except UNREACHABLE as fault:
            self._fault = fault

    async def close_sink(self) -> None:
        """Close the sink; shielded, and not longer than some seconds."""
        await self._sink.close()

    def start(self, task_group: TaskGroup) -> None:
        """Start forwarding; cancelling the task group ends what is being sent."""
        task_group.start_soon(self._run, name=f"gw_sqla forwarder {self.name}")

    def close(self) -> None:
        """Let it end after what is being sent; what waits is returned."""
        self._closed = True
        self._return_waiting()
        self._outage_scope.cancel()
        self._wake.set()

    async def _run(self) -> None:
        try:
            while not (self._closed or self._stop.is_requested):
                if self._fault is not None:
                    await self._wait_out(self._fault)
                elif self._waiting:
                    claimed, runs = self._waiting.popleft()
                    self._sending = runs
                    self._on_free()
                    await self._forward(runs, claimed)
                else:
                    self._wake = anyio.Event()
                    await self._wake.wait()
        finally:
            self.ended.set()

    async def _wait_out(self, fault: BaseException) -> None:
        """Open the sink again and again until it can be; `close` ends that."""
        with anyio.CancelScope() as self._outage_scope:
            while True:
                await self._outage.wait(fault)
                await self._sink.close()
                try:
                    await self._sink.open()
                except Exception as again:  # also what would have ended the start: the worker's other tasks go on
                    fault = again
                else:
                    break
            self._fault = None
            self._on_reached()

    async def _forward(self, runs: list[Run], claimed: float) -> None:
        try:
            if not self._lease.is_held:
                await self._lease.wait_until_held()
            runs = [run for run in runs if run.state is not LOST]
            outcomes, messages, of_messages = self._begin(runs, claimed)
            results, fault = await self._sink.send(messages) if messages else ([], None)
        except BaseException:
            self._settle([(run, Returned(run.job)) for run in runs])
            raise
        finally:
            self._sending = ()
        if messages and fault is None:
            self._went_well()
        for run, result in zip(of_messages, results, strict=True):
            outcomes.append((run, outcome_of(self._tasks[run.job.task_identifier], run.job, result)))
        self._settle(outcomes)
        if fault is not None:
            self._unreachable(fault, len(messages))

    def _begin(self, runs: Sequence[Run], claimed: float) -> tuple[list[tuple[Run, Outcome]], list[Message], list[Run]]:
        """Make the messages, each with its run; and the outcomes of those that none can be made for."""
        outcomes: list[tuple[Run, Outcome]] = []
        messages: list[Message] = []
        of_messages: list[Run] = []
        now = monotonic()
        for run in runs:
            run.begin(now, claimed)
            if self._tells_starts:
                self._observers.tell(JobStarted(job=run.job, wait_seconds=run.wait_seconds))
            made = message_or_outcome(self._tasks[run.job.task_identifier], run.job)
            if isinstance(made, Message):
                messages.append(made)
                of_messages.append(run)
            else:
                outcomes.append((run, made))
        return outcomes, messages, of_messages

    def _settle(self, outcomes: Sequence[tuple[Run, Outcome]]) -> None:
        """Hand over what became of runs, but of those whose locks were lost: that was told."""
        lost = 0
        for run, outcome in outcomes:
            if run.state is LOST:
                lost += isinstance(outcome, Completed)
                continue
            if self._is_observed or type(outcome) is Failed:
                outcome = run.timed(outcome)  # noqa: PLW2901 - the same one
            run.end(outcome)
            if type(outcome) is Failed:
                self._log.failed(outcome)
            self._finish(run)
        if lost:
            log.error("%d messages were sent to %s, but the locks of their jobs were lost meanwhile", lost, self.name)

    def _went_well(self) -> None:
        self._outage.over()
        self._limit = min(self._batch, self._limit * _FEWER)

    def _unreachable(self, fault: BaseException, sent: int) -> None:
        self._fault = fault
        self._limit = max(1, sent // _FEWER)
        self._return_waiting()

    def _return_waiting(self) -> None:
        while self._waiting:
            self._settle([(run, Returned(run.job)) for run in self._waiting.popleft()[1]])
