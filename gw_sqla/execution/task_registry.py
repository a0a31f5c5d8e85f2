"""TaskRegistry: declares which functions run which jobs.

A handler's parameters say what it is given: by their annotations a `JobContext`, an ``AsyncSession``, the
resources declared above it, and the payload, which is the one that is none of these and whose annotation
is the payload's type. Unannotated, the first is the payload (plain JSON) and the second the context. Further
parameters need a default, and keep it. What cannot work is refused when the task is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Unpack

from gw_sqla.crontab import CronItem, CronOptions
from gw_sqla.crontab.task_check import check_fit
from gw_sqla.errors import ConfigurationError, TaskDefinitionError
from gw_sqla.execution.forwarded_tasks import Forwarding, MakeMessage, forwarded_task
from gw_sqla.execution.handler_signature import read_signature
from gw_sqla.execution.handler_types import DeclareTask
from gw_sqla.execution.process_pool import refuse_impossible
from gw_sqla.execution.resources import read_resource
from gw_sqla.execution.sink import Sink
from gw_sqla.execution.task_options import (
    Backoff,
    check_options,
    cron_options,
    of_attempts_and_error,
    refuse_combination,
    task_defaults,
)
from gw_sqla.jobs.payload import PayloadType
from gw_sqla.jobs.task import Resource, Source, Task
from gw_sqla.jobs.task_defaults import OfPayload

__all__ = ["TaskRegistry"]

P = TypeVar("P")
F = TypeVar("F", bound=Callable[..., Any])


class TaskRegistry(Mapping[str, Task[Any]]):
    """The tasks that a worker supports, by their identifiers. Make one for an application."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any]] = {}
        self._cron_items: list[CronItem] = []
        self._resources: dict[Any, Resource] = {}

    @property
    def cron_items(self) -> tuple[CronItem, ...]:
        """What `cron` has declared: a runner of this registry schedules it."""
        return tuple(self._cron_items)

    def task(
        self,
        identifier: str,
        *,
        batch: bool = False,
        timeout: timedelta | None = None,
        backoff: Backoff | None = None,
        transactional: bool = False,
        run_in: Literal["thread", "process"] | None = None,
        max_attempts: int | None = None,
        priority: int | None = None,
        queue_name: OfPayload = None,
        job_key: OfPayload = None,
        flags: Sequence[str] | None = None,
    ) -> DeclareTask:
        """Declare the decorated function, async or sync, as the handler of a task.

        Parameters: ``identifier``, 1 to 128 characters, the same for Node, Rust and SQL.
        ``batch``: the payload is a list and the handler returns a list with one result for each item;
        an item whose result is an exception is tried again, with the others that failed.
        ``timeout``: how long one attempt may take; it is then cancelled and failed. None is no limit.
        Not for threads, which cannot be stopped.
        ``backoff``: from the number of attempts made, and from what was raised if it takes two arguments, to the wait
        until the next; None is Graphile Worker's exp(min(attempts, 10)) seconds.
        ``transactional``: the transaction of the AsyncSession that the handler takes also completes the job, so that
        what it writes there is written exactly once.
        ``run_in``: where a sync handler runs, in a thread (the default) or in a process.
        ``max_attempts``, ``priority``, ``queue_name``, ``job_key``, ``flags``: what jobs have that are added through
        this Task, by any method, unless the call says otherwise (None too); as in `gw_sqla.JobSpec`. ``queue_name``
        and ``job_key`` may be functions of the payload. Cron items of `cron` have those that are no functions.

        Raises TaskDefinitionError.
        """

        check_options(identifier, batch, timeout, backoff, transactional, run_in)
        defaults = task_defaults(
            identifier,
            max_attempts=max_attempts,
            priority=priority,
            queue_name=queue_name,
            job_key=job_key,
            flags=flags,
        )

        def declare(handler: Callable[..., Any]) -> Task[Any]:
            try:
                task = self._task(identifier, handler, run_in)
                task = replace(
                    task,
                    batch=batch,
                    timeout=timeout,
                    backoff=of_attempts_and_error(backoff),
                    transactional=transactional,
                    defaults=defaults,
                )
                refuse_combination(task)
            except TaskDefinitionError as error:
                raise TaskDefinitionError(f"task {identifier!r}: {error}") from error
            if identifier in self._tasks:
                raise TaskDefinitionError(f"task {identifier!r} is declared twice in this registry")
            self._tasks[identifier] = task
            return task

        return declare

    def forward(
        self,
        identifier: str,
        sink: Sink,
        *,
        payload: Any = Any,
        message: MakeMessage | None = None,
        batch: int = 500,
        timeout: timedelta = timedelta(seconds=30),
        source: str = "",
        keep: timedelta | None = None,
        backoff: Backoff | None = None,
        max_attempts: int | None = None,
        priority: int | None = None,
        queue_name: OfPayload = None,
        job_key: OfPayload = None,
        flags: Sequence[str] | None = None,
    ) -> Task[Any]:
        """Declare a task whose jobs are forwarded to a sink, many at once, and return it.

        Parameters: ``sink``, one of `gw_sqla.forwarding` or yours; tasks may share one. ``payload``: their type.
        ``message``: a function of a job's payload, checked against that type, and its message; it returns the one that
        is sent; what it raises fails the job. ``batch``: how many are claimed and sent at once at most, 1 to 10,000.
        ``timeout``: how long the sink may take to confirm; to be opened it has ten seconds at least. ``source``: stands
        before a job's id in its message's id; for several databases and one broker. ``keep``: for how long jobs that
        were sent are kept (`gw_sqla.admin.Admin`, replay).
        The others are as in `task`. Raises TaskDefinitionError.
        """
        task = forwarded_task(
            identifier,
            payload,
            Forwarding(sink=sink, batch=batch, timeout=timeout, source=source, message=message, keep=keep),
            backoff,
            self._tasks,
            max_attempts=max_attempts,
            priority=priority,
            queue_name=queue_name,
            job_key=job_key,
            flags=flags,
        )
        if identifier in self._tasks:
            raise TaskDefinitionError(f"task {identifier!r} is declared twice in this registry")
        self._tasks[identifier] = task
        return task

    def cron(self, schedule: str, **options: Unpack[CronOptions]) -> Callable[[Task[P]], Task[P]]:
        """Declare when jobs are added for the decorated task; write it above ``@tasks.task(...)``.

        The parameters are those of `gw_sqla.CronItem`: ``schedule``, five fields such as ``0 4 * * *``, in UTC
        unless ``tz`` says otherwise; ``payload``, ``fill``, ``id`` and so on. Can be repeated, with another ``id``
        each. What the task fixes for its jobs (``max_attempts``, say) holds for these too.
        The handler is given the payload with ``_cron`` in it; a type that does not know ``_cron`` fits all the same.
        Raises TaskDefinitionError, also for a payload that does not fit the task and an identifier that occurs twice.
        """

        def declare(task: Task[P]) -> Task[P]:
            if not isinstance(task, Task):
                raise TaskDefinitionError("@tasks.cron decorates a task: write it above @tasks.task(...)")
            try:
                item = CronItem(task.identifier, schedule, **(cron_options(task.defaults) | options))
                check_fit(item, task)
            except ConfigurationError as error:
                raise TaskDefinitionError(f"task {task.identifier!r}: {error}") from error
            if any(item.identifier == other.identifier for other in self._cron_items):
                raise TaskDefinitionError(
                    f"task {task.identifier!r}: a cron item {item.identifier!r} is declared already: give this one "
                    "another id"
                )
            self._cron_items.append(item)
            return task

        return declare

    def include(self, other: TaskRegistry) -> None:
        """Take over the tasks, resources and cron items that another registry has now: for tasks in several modules.

        What the other registry declares later is not in this one. Raises TaskDefinitionError, and takes nothing, where
        both have a task or cron item of the same identifier, or a resource of the same type, that are not one.
        """
        if not isinstance(other, TaskRegistry):
            raise TaskDefinitionError(f"include: must be a TaskRegistry, not {other!r}")
        ours = {item.identifier: item for item in self._cron_items}
        theirs = {item.identifier: item for item in other._cron_items}
        for what, here, there in (
            ("task", self._tasks, other._tasks),
            ("cron item", ours, theirs),
            ("resource", self._resources, other._resources),
        ):
            if twice := [name for name in here.keys() & there.keys() if here[name] is not there[name]]:
                raise TaskDefinitionError(f"include: {what} {twice[0]!r} is declared in both registries")
        self._tasks |= other._tasks
        self._cron_items = list((ours | theirs).values())
        self._resources |= other._resources

    def selection(self, only: Collection[str] = (), *, without: Collection[str] = ()) -> TaskRegistry:
        """Return a registry of some of the tasks: for a worker that leaves the others to other workers.

        Parameters: ``only``, identifiers (empty: all); ``without``, those to leave out. All cron items are
        in it, those of other tasks too: any worker may add their jobs, and one of them has to. Raises
        TaskDefinitionError for an identifier that no task has, and where nothing is left.
        """
        for identifier in (*only, *without):
            if identifier not in self._tasks:
                near = get_close_matches(identifier, self._tasks, 1)
                hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(sorted(self._tasks)[:20])}"
                raise TaskDefinitionError(f"there is no task {identifier!r}{hint}")
        chosen = TaskRegistry()
        chosen.include(self)
        chosen._tasks = {
            identifier: task
            for identifier, task in self._tasks.items()
            if identifier not in without and (not only or identifier in only)
        }
        if not chosen._tasks:
            raise TaskDefinitionError("no task is left: all that were chosen are left out")
        return chosen

    def resource(self, make: F) -> F:
        """Declare what handlers are given by its type; return the function as it was.

        The decorated function's return annotation is the type that handlers, and other resources, ask
        for. It is an async generator function that yields once (``-> AsyncIterator[Client]``), where something
        is to be closed, or a function, async or not, that returns it. Its parameters are resources
        declared above it. Each run of a Runner makes those that its tasks ask for, before it claims jobs,
        and closes them when the last job has ended; what a resource raises then leaves the runner as the cause of a
        ResourceError. A cancellation of the runner reaches them as it reaches any code.

        Raises TaskDefinitionError.
        """
        resource = read_resource(make, self._resources)
        for identifier, task in self._tasks.items():
            if task.takes_payload and task.payload_type.annotation == resource.type:
                raise TaskDefinitionError(
                    f"{resource} is declared below task {identifier!r}, which takes its type for a payload: "
                    "declare it above the task"
                )
        self._resources[resource.type] = resource
        return make

    def json_schemas(self) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each task's payload, for producers in other languages.

        Raises TaskDefinitionError, which names the task, for a type that has none.
        """
        return {identifier: task.json_schema() for identifier, task in self._tasks.items()}

    def _task(
        self, identifier: str, handler: Callable[..., Any], run_in: Literal["thread", "process"] | None
    ) -> Task[Any]:
        signature = read_signature(handler, self._resources)
        if run_in == "process":
            refuse_impossible(handler, signature)
        elif run_in is not None and signature.is_async:
            raise TaskDefinitionError("run_in is for sync handlers; an async one runs in the event loop")
        return Task(
            identifier=identifier,
            handler=handler,
            payload_type=PayloadType(signature.payload),
            arguments=signature.arguments,
            takes_payload=signature.takes(Source.PAYLOAD),
            run_in="loop" if signature.is_async else run_in or "thread",
        )

    def __getitem__(self, identifier: str) -> Task[Any]:
        return self._tasks[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)
