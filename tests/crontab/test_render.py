"""Cron items as lines, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gw_sqla import ConfigurationError, CronItem, parse_crontab, render_crontab
from tests.crontab.strategies import items


@settings(max_examples=100, deadline=None)
@given(st.lists(items(), max_size=3, unique_by=lambda item: item.identifier))
def test_round_trip(items: list[CronItem]) -> None:
    assert parse_crontab(render_crontab(items)) == items


def test_a_line_as_people_write_it() -> None:
    line = (
        '0 4 * * 1-5 clean_up ?id=nightly&fill=1w1h&max=3&queue=q&jobKey=a%20b&priority=-1&tz=Europe/Paris {"a": 1}\n'
    )
    assert render_crontab(parse_crontab(line)) == line


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (CronItem("my.task", "* * * * *"), "the task 'my.task' must be"),
        (CronItem("a", "* * * * *", id="a b"), "id: 'a b' must be"),
        (CronItem("a", "* * * * *", queue_name="ä"), "queue: 'ä' must be"),
        (CronItem("a", "* * * * *", flags=[""]), "flags"),
    ],
)
def test_what_no_line_can_say(item: CronItem, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        render_crontab([item])
