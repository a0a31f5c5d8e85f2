"""LentWorker: the parts of a worker, for one call of the tester, on the test's connection."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any

import anyio
from sqlalchemy.exc import DBAPIError

from gw_sqla.execution.current_job import CurrentJob, look_for_job_by
from gw_sqla.execution.executor import Executor
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.process_pool import ProcessPool
from gw_sqla.execution.resources import Resources
from gw_sqla.execution.sink import Sink
from gw_sqla.execution.transactional_completion import Completions
from gw_sqla.hooks.interceptor import Interceptor, check_interceptors
from gw_sqla.hooks.observer import Observer
from gw_sqla.hooks.observers import Observers, check_observers
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, CompletedByHandler, Failed, Outcome, Returned, Snoozed
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Resource, Task
from gw_sqla.repository import JobRepository
from gw_sqla.settings import RunnerSettings
from gw_sqla.testing.borrowed_connection import BorrowedConnection
from gw_sqla.testing.deliveries import Deliveries
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.outcome_store import OutcomeStore
from gw_sqla.worker.pauses import Pauses
from gw_sqla.worker.slot import SPOILED_MESSAGE
from gw_sqla.worker.task_traces import TaskTraces

__all__ = ["Application", "LentWorker", "lent_worker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a worker is told of an application; ``resources`` and ``sinks`` are given in place of its own."""

    tasks: Mapping[str, Task[Any]]
    settings: RunnerSettings
    resources: Mapping[Resource, Any]
    sinks: Mapping[str, Sink]
    observers: Sequence[Observer]
    interceptors: Sequence[Interceptor]


class _LentCompletions(Completions):
    async def is_there(self, job: ClaimedJob) -> bool:
        """Ask once. Where that cannot be asked, nothing is committed: an aborted transaction will be rolled back."""
        try:
            return await self.ask(job)
        except DBAPIError:
            return True


class LentWorker:
    """Made by `lent_worker`. Errors of the database leave as they are; a cancellation cancels."""

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        executor: Executor,
        deliveries: Deliveries,
        resources: Resources,
        claims: ClaimStore,
        outcomes: OutcomeStore,
        pauses: Pauses,
        observers: Observers,
    ) -> None:
        self.observers = observers
        self.claims = claims
        self.pauses = pauses
        self.outcomes = outcomes
        self._tasks = tasks
        self._executor = executor
        self._deliveries = deliveries
        self._resources = resources

    async def prepare(self, task: Task[Any]) -> None:
        """Make what the task's jobs need, a sink or resources; raises ResourceError, and what the sink raises."""
        if is_forwarded(task):
            await self._deliveries.open(task)
        else:
            await self._resources.make(task.arguments)

    async def execute(self, run: Run) -> Outcome:
        """Run the handler, or send the message; raises the sink's error where that is out of reach.

        In a task of its own, and a context: what a handler does to these it does not do to the test. One that leaves a
        scope open in it fails, as in a worker (`gw_sqla.worker.slot`).
        """
        now = monotonic()
        run.begin(now, now)
        task = self._tasks[run.job.task_identifier]
        outcome: Outcome | None = None
        raised: BaseException | None = None

        async def work() -> None:
            nonlocal outcome, raised
            traces = TaskTraces()
            look_for_job_by(lambda: CurrentJob.of(run.job))
            try:
                deliver = self._deliveries.deliver(task, run) if is_forwarded(task) else self._executor.execute(run)
                outcome = run.timed(await deliver)
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:
                raised = error
            if traces.has_open_scope() and type(outcome) is Completed:
                outcome = Failed(job=run.job, message=SPOILED_MESSAGE)

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(work, name=f"gw_sqla job of {task.identifier}")
        except BaseException:
            if outcome is None and raised is None:
                raise  # else it is of the event loop, about what the handler left behind
        if raised is not None:
            raise raised
        assert outcome is not None
        return outcome

    async def write(self, run: Run) -> bool:
        """Write what became of it; return whether its lock was lost: the handler has removed the job, perhaps.

        Shielded from a cancellation.
        """
        if isinstance(run.outcome, CompletedByHandler):
            return False
        with anyio.CancelScope(shield=True):
            match run.outcome:
                case Failed():
                    unwritten = await self.outcomes.fail([run])
                case Snoozed():
                    unwritten = await self.outcomes.snooze([run])
                case _:
                    unwritten = await self.outcomes.complete([run])
        return bool(unwritten.lost)

    async def give_back(self, run: Run) -> None:
        """Return a job of which nothing has become; shielded from a cancellation."""
        run.end(Returned(run.job))
        with anyio.CancelScope(shield=True):
            await self.outcomes.give_back([run])


@asynccontextmanager
async def lent_worker(
    lent: BorrowedConnection,
    application: Application,
    pool_id: str,
    *,
    due: Callable[[], datetime],
    now: Callable[[], datetime],
) -> AsyncIterator[LentWorker]:
    """Yield a worker on the connection; what it has made and opened is closed at the end of the block.

    ``due`` tells by when the jobs are due that it claims; ``now``, from when a failed one waits.
    """
    settings, observers = application.settings, Observers(check_observers(application.observers))
    interceptors = check_interceptors(application.interceptors)
    repository = JobRepository(settings.schema, max_payload_size=settings.max_payload_size, interceptors=interceptors)
    workplace = Workplace(lent.sessions, repository, pool_id, anyio.Event())
    workplace.completions = _LentCompletions(lent.sessions, settings.schema, pool_id)
    claims = ClaimStore(
        lent,
        settings.schema,
        pool_id,
        clock=due,
        max_payload_size=settings.max_payload_size,
        leaves_oversized=settings.oversized_jobs == "leave",
        accepted_flags=settings.accepted_flags,
        flag_allowlist=settings.flag_allowlist,
    )
    handled = {name: _in_this_process(task) for name, task in application.tasks.items() if not is_forwarded(task)}
    async with (
        observers.delivering(),
        Resources(application.resources) as resources,
        Deliveries(application.sinks, observers) as deliveries,
    ):
        workplace.resources = resources.made
        yield LentWorker(
            application.tasks,
            Executor(handled, workplace, ProcessPool(), observers, 1, interceptors),
            deliveries,
            resources,
            claims,
            OutcomeStore(lent, settings.schema, pool_id, claims, clock=now),
            Pauses(claims, observers, interval=math.inf),
            observers,
        )


def _in_this_process(task: Task[Any]) -> Task[Any]:
    return replace(task, run_in="thread") if task.run_in == "process" else task
