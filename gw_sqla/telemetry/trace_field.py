"""``_trace``: what a payload says of the span that added its job, as Graphile Worker RS writes and reads it.

    {"flags": 1, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}

It is in an object, or in each object of an array; scalars have none. In two things we differ: a ``_trace`` that is
there already stays, and those of all items of a batch are read. What is not of this form is no trace, and no error:
anybody who adds jobs can write one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["FIELD", "TraceField", "traces_of", "with_trace"]

FIELD = "_trace"

_MOST_TRACES = 1000
"""Of one payload; an SDK keeps 128 links of a span unless it is told otherwise."""
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}", re.IGNORECASE)
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TraceField:
    """A span of another process: its ids as numbers, and the flags of W3C's trace context (1: sampled)."""

    trace_id: int
    span_id: int
    flags: int

    @classmethod
    def read(cls, value: object) -> TraceField | None:
        """Return what a field says; None where it is not of the form."""
        if not isinstance(value, dict):
            return None
        trace_id, span_id, flags = value.get("trace_id"), value.get("span_id"), value.get("flags")
        if not (isinstance(trace_id, str) and _TRACE_ID.fullmatch(trace_id)):
            return None
        if not (isinstance(span_id, str) and _SPAN_ID.fullmatch(span_id)):
            return None
        if not isinstance(flags, int) or isinstance(flags, bool) or not 0 <= flags <= 255:
            return None
        return cls(int(trace_id, 16), int(span_id, 16), flags)

    def as_json(self) -> dict[str, Any]:
        """Return the field's value."""
        return {"flags": self.flags, "trace_id": f"{self.trace_id:032x}", "span_id": f"{self.span_id:016x}"}


def with_trace(payload: Any, trace: TraceField) -> Any:
    """Return a payload (plain JSON) with the trace, where it has none; what is given is not changed.

    None, for which the queue stores an empty object, becomes one with the trace.
    """
    if payload is None:
        return {FIELD: trace.as_json()}
    if isinstance(payload, dict):
        return payload if FIELD in payload else {**payload, FIELD: trace.as_json()}
    if isinstance(payload, list):
        return [with_trace(item, trace) if isinstance(item, dict) else item for item in payload]
    return payload


def traces_of(payload_text: str) -> list[TraceField]:
    """Return the traces in a payload as it is stored, each once, in their order; of those that are many the first."""
    if f'"{FIELD}"' not in payload_text:
        return []
    try:
        payload = json.loads(payload_text)
    except (ValueError, RecursionError):  # the handler's payload type says what is wrong with it
        return []
    found: dict[TraceField, None] = {}
    for item in _objects(payload):
        trace = TraceField.read(item.get(FIELD))
        if trace is not None:
            found[trace] = None
            if len(found) == _MOST_TRACES:
                break
    return list(found)


def _objects(payload: object) -> Iterator[dict[str, Any]]:
    if isinstance(payload, dict):
        yield payload
    elif isinstance(payload, list):
        yield from (item for item in payload if isinstance(item, dict))
