"""The mark: claims go on where the last one ended, and look from the start often enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.worker.claim_position import START, After, Mark

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Time:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr("gw_sqla.worker.claim_position.monotonic", time)
    return time


def a_job(number: int, *, queue_name: str | None = None) -> ClaimedJob:
    run_at = NOON + timedelta(seconds=number)
    return ClaimedJob(number, "note", "{}", queue_name, 3, run_at, 1, 25, None, None, 0, None)


def claim(mark: Mark, *jobs: ClaimedJob, full: bool = True) -> tuple[After, bool]:
    return mark.begin(), mark.move(jobs, full=full)


def test_a_full_claim_is_gone_on_from(time: Time) -> None:
    mark = Mark()
    assert claim(mark, a_job(1), a_job(2)) == (START, True)
    assert claim(mark, a_job(3)) == ((3, NOON + timedelta(seconds=2), 2), True)
    assert mark.begin() == (3, NOON + timedelta(seconds=3), 3)


def test_one_that_finds_less_is_followed_by_a_look_from_the_start(time: Time) -> None:
    mark = Mark()
    claim(mark, a_job(1))
    assert claim(mark, full=False) == ((3, NOON + timedelta(seconds=1), 1), True)
    assert claim(mark, full=False) == (START, False)
    assert claim(mark, a_job(2), full=False) == (START, False)


def test_a_claim_that_failed_is_followed_by_a_look_from_the_start(time: Time) -> None:
    mark = Mark()
    claim(mark, a_job(1))
    mark.begin()
    mark.forget()
    assert mark.begin() == START


def test_jobs_in_queues_do_not_move_it(time: Time) -> None:
    mark = Mark()
    claim(mark, a_job(1), a_job(2, queue_name="q"))
    assert claim(mark, a_job(3, queue_name="q")) == ((3, NOON + timedelta(seconds=1), 1), True)
    assert mark.begin().id == 1


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.05), (0.001, 0.05), (0.03, 0.27), (5.0, 1.0)])
def test_how_soon_it_looks_from_the_start_again(time: Time, took: float, pause: float) -> None:
    mark = Mark()
    mark.begin()
    time.now += took
    mark.move([a_job(1)], full=True)
    time.now += pause - 0.001
    assert claim(mark, a_job(2))[0].id == 1
    time.now += 0.002
    assert mark.begin() == START
