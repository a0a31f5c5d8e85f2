"""OpenTelemetryTracing: a span for each job that is added, one for each that is run, linked across the queue.

    the span around add_job(...)
      '- add_job send_email     PRODUCER; its ids go into the payload as `_trace` (`gw_sqla.telemetry.trace_field`)
                                   ^
    run_job send_email          CONSUMER; a link to it, of a batch one for each item

Linked, and not a child, unless ``parent`` is asked for: a job may wait for days and be tried again, and a trace that
stays open for so long is shown by nobody; so OpenTelemetry's conventions for messaging have it, and Graphile Worker RS.

The spans' names and attributes are those of the conventions; there is the identifier of the task, the job's id, its
attempt. Neither payloads, nor names of queues and keys, nor the messages of errors, which may have payloads in them:
of an error there is its type.

To add takes no time of its own that is known here: the job is in a transaction that somebody commits later. So the span
says when, and by whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TracerProvider
from sqlalchemy import Select, Text, func, literal, select

from gw_sqla.errors import Snooze
from gw_sqla.hooks.interceptor import CallNext, Interceptor
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.operations.trace_sql import SETTING
from gw_sqla.telemetry.trace_field import TraceField, traces_of, with_trace

__all__ = ["OpenTelemetryTracing", "trace_setting"]

_SYSTEM = {"messaging.system": "graphile-worker"}


class OpenTelemetryTracing(Interceptor):
    """Give it to ``Runner(interceptors=[...])`` and to ``JobRepository(interceptors=[...])``.

    Parameters: ``tracer_provider``, else OpenTelemetry's global one, whenever that is set; ``parent``, to make the span
    that adds a job the parent of the one that runs it (of a batch whose items have several, they are links).
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None, parent: bool = False) -> None:
        self._tracer = trace.get_tracer("gw_sqla", tracer_provider=tracer_provider)
        self._parent = parent

    def add_job(self, spec: JobSpec) -> JobSpec:
        """Make a span for the job; return it with the span's ids in its payload, where it has none."""
        attributes = {
            **_SYSTEM,
            "messaging.operation.name": "add_job",
            "messaging.operation.type": "create",
            "messaging.destination.name": spec.task_identifier,
        }
        span = self._tracer.start_span(f"add_job {spec.task_identifier}", kind=SpanKind.PRODUCER, attributes=attributes)
        span.end()
        field = _field_of(span.get_span_context())
        return spec if field is None else replace(spec, payload=with_trace(spec.payload, field))

    async def run_job(self, job: ClaimedJob, call_next: CallNext) -> Any:
        """Run the job in a span."""
        origins = [_context_of(field) for field in traces_of(job.payload_text)]
        attributes: dict[str, str | int] = {
            **_SYSTEM,
            "messaging.operation.name": "run_job",
            "messaging.operation.type": "process",
            "messaging.destination.name": job.task_identifier,
            "messaging.message.id": str(job.id),
            "gw_sqla.job.attempt": job.attempts,
            "gw_sqla.job.max_attempts": job.max_attempts,
        }
        with self._running(f"run_job {job.task_identifier}", origins, attributes) as span:
            result = await call_next(job)
            _note_result(span, result)
            return result

    @contextmanager
    def _running(self, name: str, origins: Sequence[SpanContext], attributes: dict[str, str | int]) -> Iterator[Span]:
        """A current span; what leaves the block is recorded by its type, if it is an error."""
        parent: Context | None = None
        if self._parent and len(origins) == 1:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(origins[0]))
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=None if parent is not None else [Link(origin) for origin in origins],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Snooze:  # the handler asked to run later: no error
                span.set_attribute("gw_sqla.job.snoozed", True)
                raise
            except BaseException as error:
                _note_error(span, error)
                raise


def trace_setting() -> Select[tuple[str]]:
    """Return the statement that tells the session's transaction of the current span; or, without one, of none.

    For triggers that ``op.create_job_trigger`` has made: they put it into the jobs that they add. Execute it in the
    transaction that changes the rows, of either kind of session: ``await session.execute(trace_setting())``.
    """
    context = trace.get_current_span().get_span_context()
    field = _field_of(context)
    text = "" if field is None else f"00-{field.trace_id:032x}-{field.span_id:016x}-{field.flags:02x}"
    return select(func.pg_catalog.set_config(SETTING, literal(text, Text), literal(True), type_=Text))


def _field_of(context: SpanContext) -> TraceField | None:
    return TraceField(context.trace_id, context.span_id, int(context.trace_flags)) if context.is_valid else None


def _context_of(field: TraceField) -> SpanContext:
    return SpanContext(field.trace_id, field.span_id, is_remote=True, trace_flags=TraceFlags(field.flags))


def _note_error(span: Span, error: BaseException) -> None:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute("error.type", name)
    span.add_event("exception", {"exception.type": name})
    span.set_status(Status(StatusCode.ERROR, name))


def _note_result(span: Span, result: Any) -> None:
    if isinstance(result, Snooze):
        span.set_attribute("gw_sqla.job.snoozed", True)
    elif isinstance(result, list | tuple):  # of a batch
        span.set_attribute("messaging.batch.message_count", len(result))
        failed = [item for item in result if isinstance(item, BaseException) and not isinstance(item, Snooze)]
        if failed:
            _note_error(span, failed[0])
