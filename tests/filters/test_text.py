"""The text form: it says what the value says, and rubbish is told from it in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from gw_sqla import InvalidFilterError, InvalidJobError, JobState
from gw_sqla.admin import Choice, JobFilter, NumberRange, PayloadTest, TimeRange
from gw_sqla.filters.parse import FIELD_WORDS
from tests.filters.strategies import RUBBISH, filters

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@settings(max_examples=500, deadline=None)
@given(filters())
def test_what_is_written_is_read_as_an_equal_value(given: JobFilter) -> None:
    text = str(given)
    assert JobFilter.parse(text) == given
    assert str(JobFilter.parse(text)) == text, "there are two ways to write it"
    assert hash(JobFilter.parse(text)) == hash(given)


@settings(max_examples=1000, deadline=None)
@given(RUBBISH)
def test_rubbish_is_refused_by_one_error_that_names_its_word(text: str) -> None:
    try:
        given = JobFilter.parse(text)
    except InvalidFilterError as caught:
        error = caught
    else:
        assert JobFilter.parse(str(given)) == given
        return
    named = error.word.split(":")[0].removeprefix("-").split(".")[0]
    assert error.word in text or named in FIELD_WORDS
    assert error.argument == "filter"
    assert error.word in str(error) or repr(error.word) in str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("  state:failed\n", {"states": frozenset({JobState.FAILED})}),
        ("state:waiting", {"states": frozenset({JobState.READY, JobState.RETRYING, JobState.SCHEDULED})}),
        ("-state:running,waiting", {"states": frozenset({JobState.FAILED})}),
        ("task:charge,refund", {"tasks": Choice(frozenset({"charge", "refund"}))}),
        ("queue:customer:1", {"queues": Choice(frozenset({"customer:1"}))}),
        ("-queue:*", {"queues": Choice(is_negated=True)}),
        ('key:"*"', {"keys": Choice(frozenset({"*"}))}),
        ("priority:<5", {"priority": NumberRange(most=4)}),
        ("priority:-5..5", {"priority": NumberRange(-5, 5)}),
        ("attempts:>3", {"attempts": NumberRange(least=4)}),
        ("attempts:0", {"attempts": NumberRange(0, 0)}),
        ("flag:a flag:b -flag:c", {"flags": frozenset({"a", "b"}), "without_flags": frozenset({"c"})}),
        ("created:>=2026-01-01", {"created": TimeRange(start=NEW_YEAR)}),
        ("created:2026-01-01", {"created": TimeRange(NEW_YEAR, NEW_YEAR + timedelta(days=1))}),
        ("created:>2026-01-01T02:00+02:00", {"created": TimeRange(start=NEW_YEAR + TICK)}),
        ("run-at:<1h", {"run_at": TimeRange(end=HOUR)}),
        ("run-at:<=-1h30m", {"run_at": TimeRange(end=-1.5 * HOUR + TICK)}),
        ("run-at:now..1h", {"run_at": TimeRange(timedelta(0), HOUR)}),
        ('error:"timed out" -error:x', {"errors": frozenset({"timed out"}), "without_errors": frozenset({"x"})}),
        ("-error:*", {"has_error": False}),
        ("payload.order_id:7", {"payload": (PayloadTest(("order_id",), "7"),)}),
        ('payload."a b".0:"x,y"', {"payload": (PayloadTest(("a b", "0"), "x,y"),)}),
        ("-payload.to:*", {"payload": (PayloadTest(("to",), is_negated=True),)}),
        ("id:7,9", {"ids": frozenset({7, 9})}),
        ("id:>=7", {"ids": NumberRange(least=7)}),
    ],
)
def test_what_people_write(text: str, value: dict[str, Any]) -> None:
    given = JobFilter(**value)
    assert JobFilter.parse(text) == given
    assert given.is_everything is (value == {})


@pytest.mark.parametrize(
    ("text", "word", "why", "suggestion"),
    [
        ("stat:failed", "stat:failed", "there is no field 'stat'", "state"),
        ("locked_by:x", "locked_by:x", "there is no field", "locked-by"),
        ("task:a state:faild", "state:faild", "there is no state 'faild'", "failed"),
        ("timed out", "timed", 'is no condition .* write error:timed', None),
        ("task:", "task:", "a value is missing", None),
        ("task:a,", "task:a,", "a value is missing", None),
        ("task:* state:failed", "task:*", "every job has a task", None),
        ("task:ch*", "task:ch*", "alone is", None),
        ("task:a task:b", "task:b", "stands twice", None),
        ("task.x:a", "task.x:a", "only payload has a path", None),
        ("payload:7", "payload:7", "needs a path", None),
        ("payload..a:7", "payload..a:7", "an empty step", None),
        ('error:"timed out', 'error:"timed out', "a quote is not closed", None) ,
        ('error:"timed"out', 'error:"timed"out', "beside a quoted value", None),
        ("error:a,b", "error:a,b", "takes one value", None),
        ("priority:high", "priority:high", "'high' is not a whole number", None),
        ("priority:99999", "priority:99999", "-32768 to 32767", None),
        ("-priority:5", "-priority:5", "cannot be negated", None),
        ("priority:5..1", "priority:5..1", "nothing is in this range", None),
        ("created:yesterday", "created:yesterday", "'yesterday' is no time", None),
        ("created:>1h", "created", "no job was made in the future", None),
        ("created:-1h", "created:-1h", "is a moment", None),
        ("created:9999-12-31", "created:9999-12-31", "beyond the years", None),
        ("run-at:>2026-02-30", "run-at:>2026-02-30", "is no time", None),
        ("id:-1", "id", "cannot be the id of a job", None),
        ("key:" + "k" * 513, "key", "1 to 512 characters", None),
        ("task:a\0", "task", "NUL", None),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, word: str, why: str, suggestion: str | None) -> None:
    with pytest.raises(InvalidFilterError, match=why) as caught:
        JobFilter.parse(text)
    assert (caught.value.word, caught.value.suggestion) == (word, suggestion)
    assert isinstance(caught.value, InvalidJobError | ValueError)


def test_it_says_what_may_have_been_meant() -> None:
    with pytest.raises(InvalidFilterError) as caught:
        JobFilter.parse("stat:failed")
    assert str(caught.value) == "filter: 'stat:failed': there is no field 'stat'; did you mean 'state'?"


@pytest.mark.parametrize("text", [None, 7, b"state:failed"])
def test_what_is_no_text(text: Any) -> None:
    with pytest.raises(InvalidFilterError, match="must be a str"):
        JobFilter.parse(text)
