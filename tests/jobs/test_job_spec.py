"""JobSpec refuses what the database would refuse, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import InvalidJobError, InvalidPayloadError, JobSpec
from gw_sqla.jobs.spec_parameters import specs_to_json

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=128)
SMALLINT = st.integers(-(2**15), 2**15 - 1)


@given(TEXT, TEXT, TEXT, SMALLINT, st.integers(1, 2**15 - 1), st.lists(TEXT, max_size=3))
def test_what_fits(identifier: str, queue: str, key: str, priority: int, most: int, flags: list[str]) -> None:
    spec = JobSpec(
        task_identifier=identifier, queue_name=queue, job_key=key, priority=priority, max_attempts=most, flags=flags
    )
    [fields] = json.loads(specs_to_json([spec]))
    assert fields == {
        "identifier": identifier,
        "queue_name": queue,
        "job_key": key,
        "priority": priority,
        "max_attempts": most,
        "flags": flags,
    }


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=1, microseconds=5))]), min_value=datetime(2, 1, 1)
    )
)
def test_run_at_keeps_its_instant(run_at: datetime) -> None:
    if run_at.year > 9998:
        return
    [fields] = json.loads(specs_to_json([JobSpec(task_identifier="a", run_at=run_at)]))
    assert datetime.fromisoformat(fields["run_at"]) == run_at
    assert fields["run_at"].endswith("+00:00"), "PostgreSQL reads no offset with fractions of a second"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("task_identifier", ""),
        ("task_identifier", "a" * 129),
        ("task_identifier", None),
        ("task_identifier", "a\0"),
        ("queue_name", ""),
        ("queue_name", "a" * 129),
        ("job_key", ""),
        ("job_key", "a" * 513),
        ("job_key", "\ud800"),
        ("priority", 2**15),
        ("priority", -(2**15) - 1),
        ("priority", True),
        ("priority", 1.0),
        ("max_attempts", 0),
        ("max_attempts", 2**15),
        ("run_at", datetime(2026, 1, 1)),
        ("run_at", "tomorrow"),
        ("flags", "one"),
        ("flags", [1]),
        ("flags", ["\0"]),
    ],
)
def test_what_does_not_fit(argument: str, value: Any) -> None:
    arguments = {"task_identifier": "a", argument: value}
    with pytest.raises(InvalidJobError, match=f"^{argument}") as caught:
        JobSpec(**arguments)
    assert caught.value.argument == argument


@given(st.lists(st.sampled_from("abcd"), max_size=5))
def test_one_job_of_a_key(keys: list[str]) -> None:
    specs = [JobSpec(task_identifier="a", job_key=key) for key in keys]
    if len(set(keys)) == len(keys):
        assert len(json.loads(specs_to_json(specs))) == len(keys)
    else:
        with pytest.raises(InvalidJobError, match="one job per key"):
            specs_to_json(specs)


def test_the_payload_that_is_wrong_is_named() -> None:
    specs = [JobSpec(task_identifier="a", payload={"n": value}) for value in (1.0, float("nan"))]
    with pytest.raises(InvalidPayloadError, match=r"specs\[1\]"):
        specs_to_json(specs)
