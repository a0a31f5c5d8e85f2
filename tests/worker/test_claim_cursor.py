"""The cursor: claims go on where the last one ended, and look from the start often enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.worker.claim_cursor import START, ClaimCursor, CursorPosition

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
    monkeypatch.setattr("gw_sqla.worker.claim_cursor.monotonic", time)
    return time


def a_job(number: int, *, queue_name: str | None = None) -> ClaimedJob:
    run_at = NOON + timedelta(seconds=number)
    return ClaimedJob(number, "note", "{}", queue_name, 3, run_at, 1, 25, None, None, 0, None)


def claim(cursor: ClaimCursor, *jobs: ClaimedJob, full: bool = True) -> tuple[CursorPosition, bool]:
    return cursor.begin(), cursor.move(jobs, full=full)


def test_a_full_claim_is_gone_on_from(time: Time) -> None:
    cursor = ClaimCursor()
    assert claim(cursor, a_job(1), a_job(2)) == (START, True)
    assert claim(cursor, a_job(3)) == ((3, NOON + timedelta(seconds=2), 2), True)
    assert cursor.begin() == (3, NOON + timedelta(seconds=3), 3)


def test_one_that_finds_less_is_followed_by_a_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1))
    assert claim(cursor, full=False) == ((3, NOON + timedelta(seconds=1), 1), True)
    assert claim(cursor, full=False) == (START, False)
    assert claim(cursor, a_job(2), full=False) == (START, False)


def test_a_claim_that_failed_is_followed_by_a_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1))
    cursor.begin()
    cursor.forget()
    assert cursor.begin() == START


def test_jobs_in_queues_do_not_move_it(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1), a_job(2, queue_name="q"))
    assert claim(cursor, a_job(3, queue_name="q")) == ((3, NOON + timedelta(seconds=1), 1), True)
    assert cursor.begin().id == 1


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.05), (0.001, 0.05), (0.03, 0.27), (5.0, 1.0)])
def test_how_soon_it_looks_from_the_start_again(time: Time, took: float, pause: float) -> None:
    cursor = ClaimCursor()
    cursor.begin()
    time.now += took
    cursor.move([a_job(1)], full=True)
    time.now += pause - 0.001
    assert claim(cursor, a_job(2))[0].id == 1
    time.now += 0.002
    assert cursor.begin() == START
