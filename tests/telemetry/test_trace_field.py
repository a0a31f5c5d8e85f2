"""``_trace`` as Graphile Worker RS writes and reads it, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla.telemetry.trace_field import TraceField, traces_of, with_trace

RUST = '{"flags":1,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}'
"""As it is documented."""
TRACE = TraceField(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, 1)
OTHER = TraceField(7, 9, 0)


def test_its_form() -> None:
    assert json.dumps(TRACE.as_json(), separators=(",", ":")) == RUST
    assert TraceField.read(json.loads(RUST)) == TRACE
    assert OTHER.as_json() == {"flags": 0, "trace_id": "0" * 31 + "7", "span_id": "0" * 15 + "9"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"a": 1}, {"a": 1, "_trace": TRACE.as_json()}),
        ({}, {"_trace": TRACE.as_json()}),
        (None, {"_trace": TRACE.as_json()}),
        ([{"a": 1}, 2, [{"b": 1}], None], [{"a": 1, "_trace": TRACE.as_json()}, 2, [{"b": 1}], None]),
        ("text", "text"),
        (7, 7),
        (False, False),
        ([], []),
        ({"_trace": "mine"}, {"_trace": "mine"}),
        ([{"_trace": 1}, {}], [{"_trace": 1}, {"_trace": TRACE.as_json()}]),
    ],
)
def test_with_trace(payload: Any, expected: Any) -> None:
    before = json.dumps(payload)
    assert with_trace(payload, TRACE) == expected
    assert json.dumps(payload) == before


def test_traces_of() -> None:
    assert traces_of("{}") == []
    assert traces_of(f'{{"_trace": {RUST}}}') == [TRACE]
    items = [{"_trace": OTHER.as_json()}, {"_trace": TRACE.as_json()}, 1, {}, {"_trace": OTHER.as_json()}]
    assert traces_of(json.dumps(items)) == [OTHER, TRACE]
    assert traces_of(json.dumps({"nested": {"_trace": TRACE.as_json()}})) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"trace_id": "0" * 32},
        {"trace_id": "4bf92f3577b34da6a3ce929d0e0e473"},
        {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736\n"},
        {"trace_id": 7},
        {"trace_id": "g" * 32},
        {"trace_id": "٣" * 32},
        {"span_id": "0" * 16},
        {"span_id": None},
        {"span_id": ["a"] * 16},
        {"flags": 256},
        {"flags": -1},
        {"flags": True},
        {"flags": "1"},
        {"flags": 1.0},
    ],
)
def test_no_traces(changed: dict[str, Any]) -> None:
    assert traces_of(json.dumps({"_trace": {**TRACE.as_json(), **changed}})) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"_trace"',
        '{"_trace": ' + "[" * 100_000,
        '{"_trace": ' + "9" * 10_000 + "}",
        '{"_trace": "' + "a" * 1_000_000 + '"}',
        '"_trace"',
        '["_trace"]',
    ],
    ids=["cut off", "deep", "large number", "long", "text", "item"],
)
def test_hostile_payloads(text: str) -> None:
    assert traces_of(text) == []


def test_their_number_is_bounded() -> None:
    items = [{"_trace": TraceField(number, number, 1).as_json()} for number in range(1, 5000)]
    assert len(traces_of(json.dumps(items))) == 1000


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_any_trace_comes_back(trace_id: int, span_id: int, flags: int) -> None:
    trace = TraceField(trace_id, span_id, flags)
    assert traces_of(json.dumps(with_trace({"a": 1}, trace))) == [trace]
