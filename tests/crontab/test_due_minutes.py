"""What is to be made up for, and what comes: against the contract's rule, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from gw_sqla import CronItem
from gw_sqla.crontab import agenda, backfill, minute_from
from tests.crontab.strategies import MINUTE, Model, minutes, models

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)

Filled = tuple[Model, int, int | None]
"""A schedule, its fill in minutes, and how many minutes ago it was last executed or made known, if it is known."""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(models(), st.integers(0, 2000), st.none() | st.integers(-5, 3000)), max_size=4),
    minutes(),
    st.integers(0, 59),
)
def test_backfill_is_the_contracts_rule(filled: list[Filled], minute: datetime, seconds: int) -> None:
    now = minute + timedelta(seconds=seconds)
    items = [CronItem("a", model.text, id=f"i{n}", fill=fill * MINUTE) for n, (model, fill, _) in enumerate(filled)]
    known = {f"i{n}": now - ago * MINUTE for n, (_, _, ago) in enumerate(filled) if ago is not None}
    wanted = []
    at = minute_from(now - 2000 * MINUTE)
    while at < now:
        due = [
            item
            for item, (model, fill, _) in zip(items, filled, strict=True)
            if item.identifier in known
            and fill * MINUTE >= now - at
            and at >= known[item.identifier]
            and model.fires_at(at)
        ]
        wanted += [(at, due)] if due else []
        at += MINUTE
    assert list(backfill(items, known, now, minute_from(now))) == wanted


def test_an_agenda_has_every_item_in_the_order_of_the_crontab() -> None:
    items = [CronItem("b", "*/2 * * * *"), CronItem("never", "0 0 30 2 *"), CronItem("a", "* * * * *")]
    found = [(minute - NOON, [item.task for item in due]) for minute, due in islice(agenda(items, NOON), 3)]
    assert found == [(0 * MINUTE, ["b", "a"]), (MINUTE, ["a"]), (2 * MINUTE, ["b", "a"])]
    assert list(agenda(items[1:2], NOON)) == []
    assert list(agenda([], NOON)) == []


def test_a_long_fill_of_a_rare_item_costs_little() -> None:
    item = CronItem("a", "0 0 29 2 *", fill=timedelta(days=36525))
    known = {"a": datetime(1990, 1, 1, tzinfo=UTC)}
    assert len(list(backfill([item], known, NOON, NOON))) == 10
