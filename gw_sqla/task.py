"""A task: an identifier, the function that runs its jobs, and the type of their payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar, Unpack

from gw_sqla.errors import InvalidPayloadError
from gw_sqla.job import JobOptions, JobSpec
from gw_sqla.payload import PayloadType

__all__ = ["Task"]

P = TypeVar("P")


@dataclass(frozen=True, eq=False, kw_only=True)
class Task(Generic[P]):
    """A declared task; made by `gw_sqla.TaskRegistry.task`, given to ``add_job``.

    Calling it calls the handler as it was written, which is how to test a handler alone.
    """

    identifier: str
    handler: Callable[..., Any]
    payload_type: PayloadType[P]
    takes_payload: bool
    takes_context: bool
    context_first: bool
    is_async: bool
    batch: bool = False
    timeout: timedelta | None = None
    backoff: Callable[[int], timedelta] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler itself."""
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Task({self.identifier!r})"

    def spec(
        self,
        payload: P | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSpec:
        """Return the job to add, its payload validated against the task's type.

        The options are those of `gw_sqla.JobSpec`. Raises InvalidPayloadError or InvalidJobError.
        """
        plain = None
        if self.takes_payload:
            plain = self.payload_type.dump(payload)  # type: ignore[arg-type] # None is checked there
            if self.batch and not isinstance(plain, list):
                raise InvalidPayloadError(f"of the batch task {self.identifier!r} must be a list")
        elif payload is not None:
            raise InvalidPayloadError(f"is given, but the handler of {self!r} takes none")
        return JobSpec(task_identifier=self.identifier, payload=plain, **options)
