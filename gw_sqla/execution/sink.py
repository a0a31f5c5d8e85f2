"""Sinks: where the jobs of forwarded tasks go, a broker's client or an HTTP client, and what they are given.

A sink is yours to write, or one of `gw_sqla.forwarding`. It knows nothing of the queue: it hands messages over, waits
until the other side has confirmed them, and says which of them it has not. What becomes of the jobs is decided by
`gw_sqla.worker.forwarder`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol, runtime_checkable

from gw_sqla.jobs.claimed_job import ClaimedJob

__all__ = ["Message", "Sink", "message_of", "standard_headers"]

_TRACE = re.compile(r'"_trace"\s*:\s*\{([^{}]{1,400})\}')
_TRACE_FIELD = re.compile(r'"(trace_id|span_id|flags)"\s*:\s*"?([0-9a-fA-F]{1,32})"?')
_DIGEST_BYTES = 8


@dataclass(slots=True, eq=False)
class Message:
    """One job on its way to a sink.

    ``id``: the same at each attempt, and another job's never: what a consumer, or the broker, drops repeats by.
    ``body``: the payload as it is stored, in UTF-8, unless the task's ``message`` has made another. ``key``: what is to
    stay in order, the job's queue. ``topic``: where it goes, in place of the sink's own stream, routing key, subject
    or URL. ``headers``: beside those of `standard_headers`.
    """

    id: str
    body: bytes
    job: ClaimedJob
    key: str | None = None
    topic: str | None = None
    headers: Mapping[str, str] | None = None
    content_type: str = "application/json"

    def __repr__(self) -> str:  # the body may be a secret
        return f"Message(id={self.id!r}, task_identifier={self.job.task_identifier!r})"


@runtime_checkable
class Sink(Protocol):
    """What hands messages over. Its methods are called on the event loop of the worker, asyncio's or trio's.

    An error of the connection's kind, `gw_sqla.SinkUnavailableError` or an OSError (ConnectionError and TimeoutError
    are), says that the other side is out of reach: the jobs wait, and their attempts are not spent.
    """

    async def open(self) -> None:
        """Connect, and look that all is there that `send` needs. Called before any job is claimed, and after an outage.

        Raises an error of the connection's kind, which is waited out, or `gw_sqla.ConfigurationError` for what cannot
        work: at the start of a worker that ends it.
        """

    async def close(self) -> None:
        """Disconnect; called after each `open`, also one that has failed. Nothing is being sent."""

    async def send(self, messages: Sequence[Message], /) -> Sequence[Exception | None]:
        """Hand all messages over, in this order, and wait until each is confirmed; one call at a time.

        Returns one result for each message: None where it is confirmed, else what is wrong with this one (an error of
        the connection's kind where that is not known). Raises an error of the connection's kind where it is known of
        none; any other fails all of them. A cancellation ends the call, with whatever has been sent.
        """
        ...


def message_of(job: ClaimedJob, source: str) -> Message:
    """Return the message of a job as it is stored.

    Its id is the job's, behind ``source``. A job with a key may be replaced under its id, by other data, after it was
    sent without an answer: its id has a digest of the payload too, so that nobody drops the newer as a repeat.
    """
    body = job.payload_text.encode()
    name = f"{source}{job.id}"
    if job.key is not None:
        name = f"{name}-{hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"
    return Message(name, body, job, job.queue_name)


def standard_headers(message: Message) -> dict[str, str]:
    """Return what a consumer is told beside the body, and the message's own headers, which come first.

    ``traceparent`` is made of the ``_trace`` that Graphile Worker RS, and gw_sqla's tracing, put into a payload.
    """
    job = message.job
    headers = {
        "job-id": str(job.id),
        "message-id": message.id,
        "task": job.task_identifier,
        "attempt": str(job.attempts),
        "priority": str(job.priority),
        "run-at": job.run_at.astimezone(UTC).isoformat(),
    }
    if job.queue_name is not None:
        headers["queue"] = job.queue_name
    if job.key is not None:
        headers["job-key"] = job.key
    if '"_trace"' in job.payload_text and (parent := _traceparent(job.payload_text)):
        headers["traceparent"] = parent
    if message.headers:
        headers |= message.headers
    return headers


def _traceparent(text: str) -> str | None:
    found = _TRACE.search(text)
    fields = dict(_TRACE_FIELD.findall(found[1])) if found else {}
    trace, span = fields.get("trace_id", "").lower(), fields.get("span_id", "").lower()
    if len(trace) != 32 or len(span) != 16 or not (trace.strip("0") and span.strip("0")):
        return None
    flags = int(fields.get("flags", "0"), 16) & 0xFF
    return f"00-{trace}-{span}-{flags:02x}"
