"""Deliveries: jobs of forwarded tasks, each sent to the sink that the test has given in place of the task's own.

What is sent, how long it may take and what becomes of a job is as in a worker (`gw_sqla.worker.forwarder`), but that
each message goes by itself, and that an outage is not waited out: it is the test's to see.

A task's own sink is never used unless the test gives it: a test that forgot to would reach a broker that is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from gw_sqla.execution.forwarded_tasks import forwarding_of
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.execution.sink import Message, Sink
from gw_sqla.hooks.events import JobStarted
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Failed, Outcome
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Task
from gw_sqla.worker.forwarding_steps import message_or_outcome, outcome_of
from gw_sqla.worker.sink_calls import SinkCalls

__all__ = ["Deliveries"]


class Deliveries:
    """Of one call of the tester. A sink is opened when the first job for it comes, and closed at the end of the block.

    ``sinks`` are by task.
    """

    def __init__(self, sinks: Mapping[str, Sink], observers: Observers) -> None:
        self._sinks = sinks
        self._observers = observers
        self._log = OutcomeLog()
        self._opened: dict[int, SinkCalls] = {}

    async def open(self, task: Task[Any]) -> None:
        """Open the task's sink, if it is not open. Raises what it raises, and a TimeoutError when it takes too long."""
        sink = self._sinks[task.identifier]
        if id(sink) not in self._opened:
            calls = SinkCalls(sink, forwarding_of(task).timeout.total_seconds())
            self._opened[id(sink)] = calls
            await calls.open()

    async def deliver(self, task: Task[Any], run: Run) -> Outcome:
        """Send the job's message, return what becomes of it; raises the sink's error where that is out of reach."""
        job = run.job
        self._observers.tell(JobStarted(job=job, wait_seconds=run.wait_seconds))
        made = message_or_outcome(task, job)
        if isinstance(made, Message):
            [result], fault = await self._opened[id(self._sinks[task.identifier])].send([made])
            if fault is not None:
                raise fault
            made = outcome_of(task, job, result)
        if isinstance(made, Failed):
            self._log.failed(made)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for calls in self._opened.values():
            await calls.close()
