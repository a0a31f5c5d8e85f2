"""What viewers share: read once in an interval, and not at all when nobody looks."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from gw_sqla.admin import Rates, Turnover
from gw_sqla.web import shared as module
from gw_sqla.web.shared import MOST_NAMES, History, Shared

pytestmark = pytest.mark.anyio


class Clock:
    """A monotonic clock that is told what time it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


class Question:
    """Counts how often it is asked; an answer takes so many seconds."""

    def __init__(self, clock: Clock, took: float = 0.0) -> None:
        self.clock = clock
        self.took = took
        self.asked = 0

    async def __call__(self) -> int:
        await anyio.lowlevel.checkpoint()
        self.asked += 1
        self.clock.now += self.took
        return self.asked


async def test_all_who_look_ask_once(clock: Clock) -> None:
    shared, question = Shared(timedelta(seconds=5)), Question(clock)
    found: list[int] = []

    async def look() -> None:
        found.append(await shared.get("a", question))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(look)
    assert found == [1] * 10
    clock.now += 4.9
    assert await shared.get("a", question) == 1
    clock.now += 0.2
    assert await shared.get("a", question) == 2
    assert await shared.get("b", question) == 3


async def test_what_takes_long_is_kept_longer(clock: Clock) -> None:
    """So it costs the database less than a hundredth of its time."""
    shared, question = Shared(timedelta(seconds=5)), Question(clock, took=0.5)
    await shared.get("a", question)
    clock.now += 49
    assert await shared.get("a", question) == 1
    clock.now += 1
    assert await shared.get("a", question) == 2


async def test_a_failure_is_not_kept(clock: Clock) -> None:
    shared = Shared(timedelta(seconds=5))

    async def fail() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await shared.get("a", fail)
    assert await shared.get("a", Question(clock)) == 1


async def test_who_leaves_does_not_block_the_others(clock: Clock) -> None:
    shared = Shared(timedelta(seconds=5))
    with anyio.move_on_after(0.01):
        await shared.get("a", anyio.sleep_forever)
    assert await shared.get("a", Question(clock)) == 1


async def test_an_action_lets_all_be_read_anew(clock: Clock) -> None:
    shared, question = Shared(timedelta(seconds=5)), Question(clock)
    await shared.get("a", question)
    shared.forget()
    assert await shared.get("a", question) == 2


async def test_names_are_no_leak(clock: Clock) -> None:
    """They may come from addresses; those that somebody looks at stay."""
    shared, question = Shared(timedelta(hours=1)), Question(clock)
    await shared.get("looked at", question)
    for number in range(5 * MOST_NAMES):
        await shared.get(f"name {number}", question)
        assert await shared.get("looked at", question) == 1
    assert len(vars(shared)["_seen"]) == MOST_NAMES


async def test_what_is_slow_stops_nothing_else(clock: Clock) -> None:
    shared = Shared(timedelta(seconds=5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.get, "slow", anyio.sleep_forever)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            assert await shared.get("quick", Question(clock)) == 1
        tasks.cancel_scope.cancel()


def test_a_minute(anyio_backend: str) -> None:
    history = History()
    assert history.last_minute() is None
    history.add(Turnover(0, 0, 0))
    assert history.last_minute() is None
    history.add(Turnover(5, 10, 5))
    assert history.last_minute() == Rates(120, 60)
    for second in range(10, 125, 5):
        history.add(Turnover(second, 10, 5))
    assert history.last_minute() == Rates(0, 0)
    rates = history.rates()
    assert len(rates) == 24
    assert rates[0] == (115, Rates(120, 60))
    history.add(Turnover(130, 3, 3))  # statistics were reset
    assert history.last_minute() is None
