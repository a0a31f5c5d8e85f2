"""RunnerSettings name the field that is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import ConfigurationError, CronItem, RunnerSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", ""),
        ("concurrency", 0),
        ("concurrency", 10_001),
        ("concurrency", 1.5),
        ("poll_interval", timedelta(0)),
        ("poll_interval", 2),
        ("grace_period", timedelta(seconds=-1)),
        ("flush_timeout", timedelta(days=400)),
        ("heartbeat_interval", timedelta(0)),
        ("heartbeat_threshold", timedelta(seconds=29)),
        ("sweep_interval", 20),
        ("recovery_delay", timedelta(seconds=-1)),
        ("transaction_pooler", "yes"),
        ("use_local_time", None),
        ("forbidden_flags", "slow"),
        ("forbidden_flags", [5]),
        ("forbidden_flags", ["a\0b"]),
        ("accepted_flags", "slow"),
        ("cleanup_interval", timedelta(0)),
        ("cleanup_interval", 3600),
        ("cleanup_failed_after", timedelta(seconds=-1)),
        ("cleanup_keep_tasks", "a"),
        ("cleanup_keep_tasks", [7]),
        ("accepted_flags", None),
        ("flag_allowlist", "slow"),
        ("flag_allowlist", [None]),
    ],
)
def test_refused(field: str, value: Any) -> None:
    settings: dict[str, Any] = {field: value}
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        RunnerSettings(**settings)


@pytest.mark.parametrize(
    "flags",
    [
        {"accepted_flags": ["a"], "forbidden_flags": ["b", "a"]},
        {"accepted_flags": ["a"], "flag_allowlist": []},
        {"accepted_flags": ["a", "b"], "flag_allowlist": ["c"]},
        {"accepted_flags": ["a", "b"], "flag_allowlist": ["a"], "forbidden_flags": ["a"]},
    ],
)
def test_flags_that_admit_nothing(flags: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^accepted_flags: each of them is forbidden, or not in"):
        RunnerSettings(**flags)


def test_flags_that_admit_something() -> None:
    RunnerSettings(accepted_flags=["a", "b"], forbidden_flags=["a"], flag_allowlist=["b", "c"])
    RunnerSettings(forbidden_flags=["a"], flag_allowlist=["a"])
    RunnerSettings(flag_allowlist=[])


@given(st.integers(1, 10_000), st.timedeltas(timedelta(milliseconds=1), timedelta(days=365)))
def test_accepted(concurrency: int, duration: timedelta) -> None:
    settings = RunnerSettings(concurrency=concurrency, poll_interval=duration, grace_period=duration)
    assert (settings.concurrency, settings.poll_interval) == (concurrency, duration)


def test_a_cron_item_that_no_worker_like_this_would_fetch() -> None:
    """Its job's payload is measured, with what is added to it."""
    room = 1024 - len('{"a":"","_cron":{"ts":"2026-01-01T00:00:00.000Z","backfilled":false}}')
    fits, is_too_large = (CronItem("t", "@daily", payload={"a": "x" * size}) for size in (room, room + 1))
    RunnerSettings(max_payload_size=1024, crontab=[fits])
    RunnerSettings(max_payload_size=None, crontab=[is_too_large])
    with pytest.raises(ConfigurationError, match=r"^crontab: t: payload: is 1025 bytes of JSON, and max_payload_size"):
        RunnerSettings(max_payload_size=1024, crontab=[fits, is_too_large])
