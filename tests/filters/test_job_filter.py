"""The value: what no job can fit, and what is no value of its field, is refused when it is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gw_sqla import InvalidFilterError, JobState
from gw_sqla.admin import Choice, JobFilter, NumberRange, PayloadTest, TimeRange


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("flag:a -flag:a", "flag:a.* asked for and left out"),
        ("error:x -error:x", "error:x.* asked for and left out"),
        ("-error:* error:x", "no job without an error"),
        ("error:* -error:*", "together fit no job"),
        ("payload.a:1 payload.a:2", "payload.a.* has one value"),
        ("payload.a:1 -payload.a:1", "payload.a.* has one value"),
        ("payload.a:* -payload.a:*", "payload.a.* has one value"),
        ("state:failed locked-by:x", "only locked jobs"),
        ("state:locked -locked-by:*", "every locked job"),
        ("state:scheduled attempts:>0", "state:retrying has those"),
        ("state:retrying attempts:<1", "state:scheduled has the others"),
        ("state:ready run-at:>1h", "ready jobs are due by now"),
        ("state:scheduled,retrying run-at:<now", "due later than now"),
        ("-state:locked,failed,ready,retrying,scheduled", "leaves no state"),
    ],
)
def test_contradictions(text: str, why: str) -> None:
    with pytest.raises(InvalidFilterError, match=why):
        JobFilter.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "payload.a:1 -payload.a:2",
        "payload.a:* payload.a:1",
        "error:* -error:x",
        "state:locked,failed locked-by:x",
        "state:failed -locked-by:x",
        "state:scheduled attempts:0",
        "state:ready,scheduled run-at:>1h",
        'task:"" queue:""',
    ],
)
def test_no_contradictions(text: str) -> None:
    assert JobFilter.parse(str(JobFilter.parse(text))) == JobFilter.parse(text)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"states": frozenset({"failed!"})}, "'failed!' is not a JobState"),
        ({"states": [JobState.FAILED]}, "states.* must be a frozenset"),
        ({"tasks": "charge"}, "tasks.* must be a Choice, is 'charge'"),
        ({"tasks": Choice()}, "every job has a task"),
        ({"priority": 5}, "priority.* must be a NumberRange"),
        ({"run_at": timedelta(hours=1)}, "run_at.* must be a TimeRange"),
        ({"ids": [7]}, "ids.* must be a NumberRange or frozenset"),
        ({"ids": frozenset()}, "no ids"),
        ({"ids": frozenset(range(1001))}, "1000 is the most"),
        ({"ids": frozenset({True})}, "cannot be the id"),
        ({"has_error": "yes"}, "must be a bool"),
        ({"errors": frozenset({""})}, "no job has ''"),
        ({"flags": frozenset({7})}, "must be a str"),
        ({"created": TimeRange(start=timedelta(hours=1))}, "in the future"),
    ],
)
def test_values_that_are_none(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidFilterError, match=why):
        JobFilter(**fields)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Choice("charge"), "names.* must be a frozenset"),  # type: ignore[arg-type]
        (lambda: PayloadTest(()), "needs a path"),
        (lambda: PayloadTest("order_id"), "needs a path"),  # type: ignore[arg-type]
        (NumberRange, "needs a bound"),
        (lambda: NumberRange(True), "not a whole number"),
        (lambda: NumberRange(2, 1), "lower bound first"),
        (TimeRange, "needs a bound"),
        (lambda: TimeRange(datetime(2026, 1, 1)), "no time zone"),
        (lambda: TimeRange(timedelta(days=400_000)), "further from now"),
        (lambda: TimeRange(timedelta(2), timedelta(1)), "earlier time first"),
        (lambda: TimeRange("now"), "must be a datetime"),  # type: ignore[arg-type]
        (lambda: TimeRange(datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))), "beyond the years"),
    ],
)
def test_parts_that_are_none(make: Any, why: str) -> None:
    with pytest.raises(InvalidFilterError, match=why):
        make()


def test_equal_filters_are_equal_however_they_were_made() -> None:
    one = PayloadTest(("a",), "1")
    other = PayloadTest(("b",), "2")
    assert JobFilter(payload=(one, other, one)) == JobFilter(payload=(other, one))
    paris = timezone(timedelta(hours=2))
    moment = datetime(2026, 1, 1, 12, tzinfo=paris)
    assert TimeRange(moment) == TimeRange(moment.astimezone(UTC))


@pytest.mark.parametrize(("text", "reads"), [("error:x", True), ("payload.a:1", True), ("state:failed", False)])
def test_what_costs_more(text: str, reads: bool) -> None:
    assert JobFilter.parse(text).looks_into_texts is reads
