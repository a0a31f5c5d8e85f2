"""Every error that gw_sqla raises itself.

    GwSqlaError
    ├── ConfigurationError        a setting, URL or application that cannot work
    │   └── CrontabError          a crontab with faults; has them all, with line and column
    ├── TaskDefinitionError       a handler or task that cannot be declared like this
    ├── InvalidJobError           an argument of a job; also a ValueError
    │   ├── InvalidFilterError    a filter that cannot be read, or that no job can fit
    │   └── InvalidPayloadError   a payload that is not JSON or does not fit its task
    ├── ExecutableFailedError     a program that is a task ended with an error, or could not be started
    ├── JobFailedError            a job that failed without an exception of its handler's
    ├── JobTesterError            a use of the test kit that would test nothing, or never end
    ├── JobNotAddedError          the job of a transaction that has not committed
    ├── LockLostError             a job that this worker does not hold any more
    ├── ReadTimeoutError          reading for people that took longer than it may
    ├── ResourceError             what makes a resource for handlers raised; the cause says what
    ├── SinkUnavailableError      what jobs are forwarded to cannot take any now; raised by sinks
    ├── LoopError                 database work on trio without an asyncio loop
    ├── SessionError              a session that cannot do it: closed, read only, aborted, of another database
    ├── AccessError               the database role lacks rights (SQLSTATE 42501, row level security)
    └── SchemaError               the worker schema is not usable as it is
        ├── SchemaMissingError    no Graphile Worker schema there
        ├── SchemaBehindError     older than this version needs; `migrate` mends it
        ├── SchemaTooOldError     older than Graphile Worker 0.16; graphile-worker mends it
        ├── SchemaTooNewError     a breaking migration that this version does not know
        ├── SchemaInUseError      a downgrade while jobs exist
        └── SchemaLockedError     a migration that waited for a lock for longer than it may

`FailPermanently`, `RetryAfter` and `Snooze` stand beside the tree: handlers raise them to end a job without another
attempt, to say when the next one may come, and to have the job run later without a failure.
Errors of the database itself pass through as SQLAlchemy raises them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

__all__ = [
    "AccessError",
    "ConfigurationError",
    "CrontabError",
    "CrontabProblem",
    "ExecutableFailedError",
    "FailPermanently",
    "GwSqlaError",
    "InvalidFilterError",
    "InvalidJobError",
    "InvalidPayloadError",
    "JobFailedError",
    "JobNotAddedError",
    "JobTesterError",
    "LockLostError",
    "LoopError",
    "ReadTimeoutError",
    "ResourceError",
    "RetryAfter",
    "SchemaBehindError",
    "SchemaError",
    "SchemaInUseError",
    "SchemaLockedError",
    "SchemaMissingError",
    "SchemaTooNewError",
    "SchemaTooOldError",
    "SessionError",
    "SinkUnavailableError",
    "Snooze",
    "TaskDefinitionError",
]


class GwSqlaError(Exception):
    """Base of all errors that gw_sqla raises; never raised itself."""


class ConfigurationError(GwSqlaError):
    """A setting, URL or application that cannot work; the text names it and the fix."""


@dataclass(frozen=True, slots=True, order=True)
class CrontabProblem:
    """One fault of a crontab, or a warning: where it is, counted from 1, what it is and what to do."""

    line: int
    column: int
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


class CrontabError(ConfigurationError):
    """A crontab with faults; nothing of it is used. ``problems`` are all of them, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[CrontabProblem]) -> None:
        super().__init__(f"{source}: " + "; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class TaskDefinitionError(GwSqlaError):
    """A task that cannot be declared like this: its handler's signature, payload type or options."""


class InvalidJobError(GwSqlaError, ValueError):
    """An argument of a job that the database would refuse, or that nobody can mean.

    ``argument`` is the name of the argument, so that a form or an API can point at it;
    ``problem`` is the rest of the text.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem


class InvalidPayloadError(InvalidJobError):
    """A payload that is not JSON, that PostgreSQL cannot hold, or that does not fit its task."""

    def __init__(self, problem: str) -> None:
        super().__init__("payload", problem)


class InvalidFilterError(InvalidJobError):
    """A filter of jobs that cannot be read, that no job can fit, or that does not go with what it is given to.

    ``word`` is the word of the text, or the name of the field; ``reason`` is the rest; ``suggestion`` is the nearest
    word that is known, or None.
    """

    def __init__(self, word: str, problem: str, suggestion: str | None = None) -> None:
        told = f"{word!r}: {problem}" if word else problem
        super().__init__("filter", f"{told}; did you mean {suggestion!r}?" if suggestion else told)
        self.word = word
        self.reason = problem
        self.suggestion = suggestion


class ExecutableFailedError(GwSqlaError):
    """A program that is a task did not exit with code 0; its text has the end of the program's standard error.

    ``exit_code`` is negative where a signal killed it, None where it could not be started or has timed out.
    """

    def __init__(self, text: str, *, exit_code: int | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class JobFailedError(GwSqlaError):
    """A job failed, and no exception of its handler says why: no task of its name, a batch item in a process."""


class JobNotAddedError(GwSqlaError):
    """A `gw_sqla.PendingJob` was asked for its job, but its transaction has not committed, or was rolled back."""


class JobTesterError(GwSqlaError):
    """A use of the test kit (`gw_sqla.testing`) that would test nothing, change what stays, or never end."""


class LockLostError(GwSqlaError):
    """A job cannot be completed by its handler: this worker does not hold it any more.

    Another worker or an administrator took it over, or it was completed already. Roll the transaction back.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(
            f"job {job_id} is not this worker's any more: its lock was lost, or it was completed already; "
            "roll the transaction back"
        )
        self.job_id = job_id


class ReadTimeoutError(GwSqlaError):
    """What was asked was not there within ``timeout``; the caller's transaction goes on as it was."""

    def __init__(self, timeout: timedelta) -> None:
        milliseconds = round(timeout.total_seconds() * 1000)
        super().__init__(f"the database had no answer within {milliseconds} ms: raise the timeout of the limits")
        self.timeout = timeout


class ResourceError(GwSqlaError):
    """A resource for handlers could not be made, or failed while it was there; the cause is what it raised."""


class SinkUnavailableError(GwSqlaError):
    """What jobs are forwarded to says that it cannot take any now, whatever they are: they wait, no attempt is spent.

    Raised by sinks. An OSError, such as a ConnectionError, says that it is out of reach, which is much the same.
    """


class LoopError(GwSqlaError):
    """Database work was asked for on trio with no asyncio loop open for the driver, or the loop ended meanwhile."""


class SessionError(GwSqlaError):
    """A session, or its transaction, in which jobs cannot be added or read; the text says what to do.

    Its transaction is as the caller and PostgreSQL left it. The cause is SQLAlchemy's error, where there was one.
    """


class AccessError(GwSqlaError):
    """The database role lacks a right for this work in this schema; the text says how to get it, and no more."""


class SchemaError(GwSqlaError):
    """The worker schema is not usable as it is; ``schema`` is its name."""

    def __init__(self, schema: str, problem: str) -> None:
        super().__init__(problem)
        self.schema = schema


class SchemaMissingError(SchemaError):
    """There is no Graphile Worker schema of this name in the database."""


class SchemaBehindError(SchemaError):
    """The schema lacks migrations that this version of gw_sqla needs."""


class SchemaTooOldError(SchemaError):
    """The schema is older than Graphile Worker 0.16: upgrade it with graphile-worker first."""


class SchemaTooNewError(SchemaError):
    """The ledger holds a breaking migration that this version of gw_sqla does not know."""

    exit_code = 57
    """Graphile Worker's exit code for this case."""


class SchemaInUseError(SchemaError):
    """A downgrade would drop jobs that are still there."""


class SchemaLockedError(SchemaError):
    """A migration has waited for a lock for its ``lock_timeout``, and was rolled back; the text says who has it."""


class FailPermanently(Exception):  # noqa: N818 - a handler's decision, not a fault of the program
    """Raised by a handler: this job cannot succeed, do not try it again.

    Its text becomes the job's ``last_error``. The row stays, with no attempts left.
    """


class RetryAfter(Exception):  # noqa: N818 - a handler's decision, not a fault of the program
    """Raised by a handler that was told when to come again (HTTP 429, say): the job fails, and is tried again then.

    Parameters: ``delay``, in place of the task's backoff; ``message``, for ``last_error``. The attempt is spent;
    after the last one the job has failed permanently. Raises ValueError for a delay that cannot be waited.
    """

    def __init__(self, delay: timedelta, message: str = "") -> None:
        if not isinstance(delay, timedelta) or delay < timedelta(0):
            raise ValueError(f"delay: must be a timedelta that is not negative, is {delay!r}")
        super().__init__(message or f"in {delay}")
        self.delay = delay


class Snooze(Exception):  # noqa: N818 - a handler's decision, not a fault of the program
    """Raised or returned by a handler: the job is not done and has not failed, it runs again after ``delay``.

    The attempt is given back, so a job may wait for something as long as it takes. Raised, it rolls back the session
    that the handler was given; returned, it commits that, but in a transactional task, whose commit would end the job:
    there it is raised. In the results of a batch it stands for one item.

    Parameters: ``delay``; ``reason``, a text for people; ``limit``, how often a job may be snoozed: then a snooze
    spends an attempt, as a failure, and the count begins anew. Raises ValueError for what cannot be.
    """

    def __init__(self, delay: timedelta, reason: str = "", *, limit: int = 1000) -> None:
        if not isinstance(delay, timedelta) or delay < timedelta(0):
            raise ValueError(f"delay: must be a timedelta that is not negative, is {delay!r}")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 1_000_000:
            raise ValueError(f"limit: must be 1 to 1000000, is {limit!r}")
        super().__init__(reason or f"for {delay}")
        self.delay = delay
        self.limit = limit
