"""Forwarded tasks: what a task has in place of a handler when its jobs go to a sink."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeAlias

from gw_sqla.errors import TaskDefinitionError
from gw_sqla.execution.sink import Message, Sink, message_of
from gw_sqla.execution.task_options import Backoff, check_options, of_attempts_and_error, task_defaults
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.payload import PayloadType
from gw_sqla.jobs.task import Task

__all__ = [
    "Forwarding",
    "MakeMessage",
    "forwarded_task",
    "forwarding_of",
    "is_forwarded",
    "keeps",
    "make_message",
    "most_sent",
    "sinks_of",
]

MakeMessage: TypeAlias = Callable[[Any, Message], Message]
"""From the payload and the message as it would be sent to the message that is sent: the same, changed, or another."""

_MOST_BATCH = 10_000
_LONGEST_KEPT = timedelta(days=3650)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Forwarding:
    """How a task's jobs are forwarded; in the place of its handler."""

    sink: Sink
    batch: int
    timeout: timedelta
    source: str
    message: MakeMessage | None
    keep: timedelta | None = None

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """A forwarded task has no handler to call."""
        raise TypeError("a forwarded task has no handler: its jobs are sent to its sink by a worker")


def is_forwarded(task: Task[Any]) -> bool:
    """Whether the task's jobs go to a sink."""
    return isinstance(task.handler, Forwarding)


def keeps(tasks: Mapping[str, Task[Any]]) -> bool:
    """Whether what was forwarded of one of them is kept."""
    return any(is_forwarded(task) and forwarding_of(task).keep is not None for task in tasks.values())


def forwarding_of(task: Task[Any]) -> Forwarding:
    """Return how a task's jobs are forwarded; it must be one that is."""
    assert isinstance(task.handler, Forwarding)
    return task.handler


def sinks_of(tasks: Mapping[str, Task[Any]]) -> list[dict[str, Task[Any]]]:
    """Return the forwarded tasks, those of each sink together."""
    by_sink: dict[int, dict[str, Task[Any]]] = {}
    for identifier, task in tasks.items():
        if is_forwarded(task):
            by_sink.setdefault(id(forwarding_of(task).sink), {})[identifier] = task
    return list(by_sink.values())


def most_sent(tasks: Mapping[str, Task[Any]]) -> int:
    """Return how many jobs go to the sink of these tasks at once."""
    return max(forwarding_of(task).batch for task in tasks.values())


def make_message(task: Task[Any], job: ClaimedJob) -> Message:
    """Return what is sent for a job. Raises InvalidPayloadError, and what the task's ``message`` raises."""
    forwarding = forwarding_of(task)
    message = message_of(job, forwarding.source)
    if forwarding.message is None:
        return message
    made = forwarding.message(task.payload_type.load(job.payload_text), message)
    if not isinstance(made, Message):
        raise TypeError(f"the message function must return a Message, returned a {type(made).__name__}")
    _check_message(made)
    return made


def _check_message(made: Message) -> None:
    """Raise TypeError or ValueError for what a client could stumble over with the whole batch; without its values."""
    if not isinstance(made.body, bytes):
        raise TypeError(f"the body of a message must be bytes, is a {type(made.body).__name__}")
    headers = {} if made.headers is None else made.headers
    if not isinstance(headers, Mapping):
        raise TypeError(f"the headers of a message must be a mapping, are a {type(headers).__name__}")
    texts: list[tuple[str, object]] = [("id", made.id), ("content_type", made.content_type)]
    texts += [("topic", made.topic)] if made.topic is not None else []
    texts += [("key", made.key)] if made.key is not None else []
    texts += [("headers", text) for pair in headers.items() for text in pair]
    for field, text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{field} of a message must be text, has a {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{field} of a message has half a surrogate pair, which is no text") from None
    for field, name in (("id", made.id), ("content_type", made.content_type), *(("headers", name) for name in headers)):
        if not name or not name.isprintable():
            raise ValueError(f"{field} of a message: an id, a type and names of headers are one line, and not empty")


def forwarded_task(
    identifier: str,
    payload: Any,
    forwarding: Forwarding,
    backoff: Backoff | None,
    others: Mapping[str, Task[Any]],
    **defaults: Any,
) -> Task[Any]:
    """Return a task whose jobs are forwarded; ``defaults`` are those of its jobs. Raises TaskDefinitionError."""
    check_options(identifier, False, forwarding.timeout, backoff, False, None)
    of_jobs = task_defaults(identifier, **defaults)
    try:
        _check(forwarding, others)
        payload_type: PayloadType[Any] = PayloadType(payload)
    except TaskDefinitionError as error:
        raise TaskDefinitionError(f"task {identifier!r}: {error}") from error
    return Task(
        identifier=identifier,
        handler=forwarding,
        payload_type=payload_type,
        arguments=(),
        takes_payload=True,
        run_in="loop",
        backoff=of_attempts_and_error(backoff),
        defaults=of_jobs,
    )


def _check(forwarding: Forwarding, others: Mapping[str, Task[Any]]) -> None:
    """Raise TaskDefinitionError for what cannot be, and where the sink's other tasks say otherwise."""
    sink, batch = forwarding.sink, forwarding.batch
    if isinstance(sink, type) or not isinstance(sink, Sink):
        raise TaskDefinitionError(f"sink must have open, close and send, as gw_sqla.forwarding.Sink, is {sink!r}")
    if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= _MOST_BATCH:
        raise TaskDefinitionError(f"batch must be 1 to {_MOST_BATCH}, is {batch!r}")
    if forwarding.timeout is None:
        raise TaskDefinitionError("timeout must be a timedelta, not None")
    if inspect.iscoroutinefunction(forwarding.message):
        raise TaskDefinitionError("message must not be async: it makes a message, it sends nothing")
    if forwarding.message is not None and not callable(forwarding.message):
        raise TaskDefinitionError(f"message must be a function of payload and message, not {forwarding.message!r}")
    keep = forwarding.keep
    if keep is not None and not (isinstance(keep, timedelta) and timedelta(0) < keep <= _LONGEST_KEPT):
        raise TaskDefinitionError(f"keep must be a timedelta of up to {_LONGEST_KEPT.days} days, or None, is {keep!r}")
    if not isinstance(forwarding.source, str):
        raise TaskDefinitionError(f"source must be a str, not {forwarding.source!r}")
    for other in filter(is_forwarded, others.values()):
        shared = forwarding_of(other)
        if shared.sink is sink and (shared.batch, shared.timeout) != (batch, forwarding.timeout):
            raise TaskDefinitionError(
                f"its sink is that of {other!r}, with batch {shared.batch} and timeout {shared.timeout}: "
                "say the same here, or give each a sink of its own"
            )
