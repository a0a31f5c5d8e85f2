"""Interceptor: wraps the running of a job, and sees what is added.

**Running.** The first of ``Runner(interceptors=[...])`` is the outermost. `run_job` decides what becomes of the job as
a handler does, by what it returns and raises, and calls the next one, at last the handler, by ``await call_next(job)``:

    return await call_next(job)                          what would have been
    await call_next(job.with_payload({...}))             the handler is given another payload; the row keeps its own
    return SKIP                                          the job is completed, without its handler
    raise FailPermanently(...), RetryAfter(...), ...     it fails
    raise Snooze(timedelta(hours=1))                     it waits

To return without having called ``call_next``, or `SKIP`, fails the job: forgotten, it would delete jobs that nobody has
run. So does a second call. An interceptor may catch what the handler raised, which then has not failed; but not a
cancellation: a handler that was cut off has not done its work.

It is outside of the task's timeout and transaction, and runs in the task of the slot: context variables that it sets
reach the handler, a sync one in its thread too, and should be reset after (else the slot needs a new task). A process
has its own; there `gw_sqla.current_job` is known. A batch job is one job, whose payload is the list; the number of its
items stays. Forwarded jobs have no handler, so no interceptor wraps them.

**Adding.** `add_job` is given each job that is added by ``JobRepository(interceptors=[...])``, or the sync one: by
``add_job``, ``add_jobs``, ``add_job_on_commit``, `ModelJobs`, and a handler's ``ctx``. The first of them sees it first.
It returns the spec, changed or not, or raises to refuse it: InvalidJobError, for example. A payload there is plain
JSON already. It is called at the moment at which the spec is known: for ``add_job_on_commit`` with a payload
function, and `ModelJobs`, that is in the commit. What the database adds by itself, as triggers and crontabs do, it does
not see; but their jobs run as any other.

Rejected: to let it wrap adding as it wraps running. It would be called around each of 50,000 jobs that go in one
round trip, to await nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

from gw_sqla.errors import ConfigurationError
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.job_spec import JobSpec

__all__ = ["SKIP", "CallNext", "Intercept", "Interceptor", "check_interceptors", "intercept_adding", "of_running"]

CallNext: TypeAlias = Callable[[ClaimedJob], Awaitable[Any]]
"""Runs the rest of the chain, once; returns what the handler returned, raises what it raised."""

Intercept: TypeAlias = Callable[[JobSpec], JobSpec]


class _Skip(Enum):
    SKIP = "SKIP"

    def __repr__(self) -> str:
        return "gw_sqla.SKIP"


SKIP: Final = _Skip.SKIP
"""What an interceptor returns to complete a job without its handler."""


class Interceptor:
    """Base of interceptors: override one of its methods, or both. What is not overridden costs nothing."""

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        """Run the job by ``await call_next(job)``, and return what that returns; or do otherwise."""
        return await call_next(job)

    def add_job(self, spec: JobSpec) -> JobSpec:
        """Return the job that is to be added, or raise to refuse it."""
        return spec


def check_interceptors(interceptors: Iterable[Interceptor]) -> tuple[Interceptor, ...]:
    """Return them; raises ConfigurationError for what is none."""
    found = tuple(interceptors)
    for interceptor in found:
        if not isinstance(interceptor, Interceptor):
            what = f"{interceptor.__name__}()" if isinstance(interceptor, type) else "a subclass of gw_sqla.Interceptor"
            raise ConfigurationError(f"interceptors: {interceptor!r} is no Interceptor: give {what}")
    return found


def of_running(interceptors: Sequence[Interceptor]) -> list[Interceptor]:
    """Return those that wrap the running of jobs."""
    return [interceptor for interceptor in interceptors if type(interceptor).run_job is not Interceptor.run_job]


def intercept_adding(interceptors: Sequence[Interceptor]) -> Intercept | None:
    """Return the function that all specs go through; None where none of the interceptors looks at them."""
    found = [interceptor for interceptor in interceptors if type(interceptor).add_job is not Interceptor.add_job]
    if not found:
        return None

    def intercept(spec: JobSpec) -> JobSpec:
        for interceptor in found:
            name = type(interceptor).__name__
            given: object = interceptor.add_job(spec)
            if not isinstance(given, JobSpec):
                raise ConfigurationError(f"interceptors: {name}.add_job returned a {type(given).__name__}, no JobSpec")
            spec = given
        return spec

    return intercept
