"""RunnerSettings name the field that is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import ConfigurationError, RunnerSettings


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
    ],
)
def test_refused(field: str, value: Any) -> None:
    settings: dict[str, Any] = {field: value}
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        RunnerSettings(**settings)


@given(st.integers(1, 10_000), st.timedeltas(timedelta(milliseconds=1), timedelta(days=365)))
def test_accepted(concurrency: int, duration: timedelta) -> None:
    settings = RunnerSettings(concurrency=concurrency, poll_interval=duration, grace_period=duration)
    assert (settings.concurrency, settings.poll_interval) == (concurrency, duration)
