"""A task: an identifier, the function that runs its jobs, and what this function is given.

All of it is decided when the task is declared; running a job looks nothing up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Generic, Literal, TypeVar, Unpack

from pydantic import PydanticUserError

from gw_sqla.errors import InvalidPayloadError, TaskDefinitionError
from gw_sqla.jobs.job_spec import JobOptions, JobSpec, check_options
from gw_sqla.jobs.payload import PayloadType
from gw_sqla.jobs.task_defaults import TaskDefaults

__all__ = ["Argument", "Resource", "RunIn", "Source", "Task", "identifier_of", "may_have_key", "spec_of"]

P = TypeVar("P")

RunIn = Literal["loop", "thread", "process"]


class Source(Enum):
    """Where an argument of a handler comes from, if it is not a resource."""

    PAYLOAD = auto()
    CONTEXT = auto()
    SESSION = auto()


@dataclass(frozen=True, eq=False, kw_only=True)
class Resource:
    """What handlers are given by its type: made when a runner starts, closed when it ends.

    ``make`` is a function or an async generator function that yields once; it is given other resources.
    """

    type: Any
    make: Callable[..., Any]
    arguments: tuple[Argument, ...]

    def __repr__(self) -> str:
        return f"Resource({getattr(self.make, '__name__', self.make)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One parameter of a handler and what it is given."""

    name: str
    source: Source | Resource
    by_keyword: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Task(Generic[P]):
    """A declared task; made by `gw_sqla.TaskRegistry.task`, given to ``add_job``.

    Calling it calls the handler as it was written, which is how to test a handler alone.
    """

    identifier: str
    handler: Callable[..., Any]
    payload_type: PayloadType[P]
    arguments: tuple[Argument, ...]
    takes_payload: bool
    run_in: RunIn
    batch: bool = False
    transactional: bool = False
    timeout: timedelta | None = None
    backoff: Callable[[int, BaseException | None], timedelta] | None = None
    defaults: TaskDefaults = field(default_factory=TaskDefaults)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler itself."""
        return self.handler(*args, **kwargs)

    def call_sync(self, *args: Any, **kwargs: Any) -> Any:
        """Call a sync handler; raises TypeError where it returns an awaitable, which nobody would await."""
        result = self.handler(*args, **kwargs)
        if not inspect.isawaitable(result):
            return result
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"the handler of {self!r} is no async function, but returned an awaitable: make it async def")

    def __repr__(self) -> str:
        return f"Task({self.identifier!r})"

    def takes(self, source: Source) -> bool:
        """Whether the handler is given this."""
        return any(argument.source is source for argument in self.arguments)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the task's payloads; raises TaskDefinitionError for a type that has none."""
        try:
            return self.payload_type.json_schema()
        except PydanticUserError as error:
            raise TaskDefinitionError(
                f"task {self.identifier!r}: its payload type has no JSON Schema: {error.message}"
            ) from error

    def spec(self, payload: P | None = None, **options: Unpack[JobOptions]) -> JobSpec:
        """Return the job to add, its payload validated against the task's type.

        The options are those of `gw_sqla.JobSpec`; those that are not given have the task's defaults. Raises
        InvalidPayloadError or InvalidJobError.
        """
        check_options(options)
        valid = plain = None
        if self.takes_payload:
            valid, plain = self.payload_type.dump(payload)  # type: ignore[arg-type] # None is checked there
            if self.batch and not isinstance(plain, list):
                raise InvalidPayloadError(f"of the batch task {self.identifier!r} must be a list")
        elif payload is not None:
            raise InvalidPayloadError(f"is given, but the handler of {self!r} takes none")
        options = self.defaults.options(valid, options, self)
        return JobSpec(task_identifier=self.identifier, payload=plain, **options)


def identifier_of(task: Task[Any] | str) -> str:
    """Return the task's identifier."""
    return task.identifier if isinstance(task, Task) else task


def may_have_key(task: Task[Any] | str, options: JobOptions) -> bool:
    """Tell whether a job of the task with these options may have a key, which its payload may decide."""
    default = task.defaults.job_key if isinstance(task, Task) else None
    return options.get("job_key", default) is not None


def spec_of(task: Task[Any] | str, payload: Any, options: JobOptions) -> JobSpec:
    """Return the job to add; for a declared task with its payload checked."""
    if isinstance(task, Task):
        return task.spec(payload, **options)
    check_options(options)
    return JobSpec(task_identifier=task, payload=payload, **options)
