"""What the state machine adds, picks and gets refused: small worlds, in which calls meet each other's jobs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.faults.model import Spec

TASKS = ["a", "b"]
POOLS = ["pool-1", "pool-2"]
KEYS = ["k1", "k2"]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
RECENTLY = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2124, 1, 1, tzinfo=UTC)

times = st.sampled_from([None, None, LONG_AGO, RECENTLY, FAR_AHEAD])
payloads = st.none() | st.sampled_from([{"n": 1}, 7, "text", False, [], [1], [{"n": 2}, None], {"deep": [[]]}])
specs = st.builds(
    Spec,
    task=st.sampled_from(TASKS),
    payload=payloads,
    queue=st.sampled_from([None, "q1", "q1", "q2"]),
    run_at=times,
    max_attempts=st.sampled_from([None, None, 1, 3]),
    key=st.none() | st.sampled_from(KEYS),
    priority=st.none() | st.sampled_from([-3, 0, 5]),
    flags=st.none() | st.lists(st.sampled_from(["f", "g"]), max_size=3).map(tuple),
)
keyed_apart = st.lists(specs, max_size=6, unique_by=lambda spec: spec.key or object())
picks = st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 4, 99]), max_size=3, unique=True)
"""Which of the jobs that are there, by their place in an order; a place that is not taken is an unknown id."""

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "no attempts": ("23514", {"max_attempts": 0}),
    "an empty key": ("23514", {"key": ""}),
    "a long name": ("23514", {"task": "t" * 129}),
    "no name": ("23502", {"task": None}),
    "a large priority": ("22003", {"priority": 2**15}),
    "an unknown mode": ("GWBKM", {"key": "k1", "mode": "another"}),
}
"""Arguments of add_job that must be refused, and with which SQLSTATE."""


def arguments(spec: Spec) -> dict[str, Any]:
    return {
        **vars(spec),
        "payload": None if spec.payload is None else json.dumps(spec.payload),
        "flags": None if spec.flags is None else list(spec.flags),
    }


def fields(spec: Spec) -> dict[str, Any]:
    """The spec as a JSON object with the names of job_spec."""
    fields = {
        "identifier": spec.task,
        "payload": spec.payload,
        "queue_name": spec.queue,
        "run_at": spec.run_at and spec.run_at.isoformat(),
        "max_attempts": spec.max_attempts,
        "job_key": spec.key,
        "priority": spec.priority,
        "flags": None if spec.flags is None else list(spec.flags),
    }
    return {name: value for name, value in fields.items() if value is not None}
