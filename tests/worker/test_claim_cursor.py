"""The cursor: claims go on where the last one ended, and look from the start often enough."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.statements.claim_rules import Reach
from gw_sqla.worker.claim_cursor import EVERYWHERE, START, ClaimCursor, CursorPosition, Look

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


def a_job(number: int, *, queue_id: int | None = None) -> ClaimedJob:
    queue_name = None if queue_id is None else f"queue {queue_id}"
    return ClaimedJob(number, "note", "{}", queue_name, 3, at(number).run_at, 1, 25, None, None, 0, queue_id)


def at(number: int) -> CursorPosition:
    return CursorPosition(3, NOON + timedelta(seconds=number), number)


def claim(
    cursor: ClaimCursor, *jobs: ClaimedJob, full: bool = True, released: Collection[int] = ()
) -> tuple[Look, bool]:
    return cursor.begin(released), cursor.move(jobs, full=full)


def test_a_full_claim_is_gone_on_from(time: Time) -> None:
    cursor = ClaimCursor()
    assert claim(cursor, a_job(1), a_job(2)) == (EVERYWHERE, True)
    assert claim(cursor, a_job(3)) == (Look(at(2), START, reach=Reach.ONWARD_UNQUEUED), True)
    assert cursor.begin() == Look(at(3), START, reach=Reach.ONWARD_UNQUEUED)


def test_one_that_finds_less_is_followed_by_a_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1))
    look, may_have_more = claim(cursor, full=False)
    assert (look.unqueued, may_have_more) == (at(1), True)
    assert claim(cursor, full=False) == (EVERYWHERE, False)
    assert claim(cursor, a_job(2), full=False) == (EVERYWHERE, False)


def test_a_claim_that_failed_is_followed_by_a_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1))
    cursor.begin()
    cursor.forget()
    assert cursor.begin() == EVERYWHERE


def test_jobs_in_queues_have_a_place_of_their_own(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1), a_job(2, queue_id=7))
    assert claim(cursor, a_job(3, queue_id=8)) == (Look(at(1), at(2)), True)
    assert claim(cursor, a_job(4)) == (Look(at(1), at(3)), True)
    assert cursor.begin() == Look(at(4), at(3))


def test_where_no_job_is_in_a_queue_none_is_looked_for_before_the_next_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1, queue_id=7))
    assert claim(cursor, a_job(2))[0].reach is Reach.ONWARD
    time.now += 10
    assert claim(cursor, a_job(3))[0] is EVERYWHERE
    look, _ = claim(cursor, a_job(4))
    assert look.reach is Reach.ONWARD_UNQUEUED
    assert {*look.parameters()} == {"after_priority", "after_run_at", "after_id"}
    time.now += 10
    assert claim(cursor, a_job(5, queue_id=7))[0] is EVERYWHERE
    assert cursor.begin().reach is Reach.ONWARD


def test_released_queues_are_looked_at_wherever_it_is(time: Time) -> None:
    cursor = ClaimCursor()
    assert claim(cursor, a_job(5), released=[7]) == (EVERYWHERE, True), "which comes by their jobs anyway"
    assert claim(cursor, a_job(6), a_job(2, queue_id=7), released=[7]) == (Look(at(5), START, [7]), True)
    assert claim(cursor, a_job(9, queue_id=9)) == (Look(at(6), at(2)), True)
    assert claim(cursor, a_job(3, queue_id=7), released=[7]) == (Look(at(6), at(9), [7]), True)
    assert cursor.begin() == Look(at(6), at(9)), "the job of a released queue takes it back"


def test_very_many_released_queues_are_found_by_a_look_from_the_start(time: Time) -> None:
    cursor = ClaimCursor()
    claim(cursor, a_job(1))
    assert cursor.begin(range(1001)) is EVERYWHERE


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.05), (0.001, 0.05), (0.03, 0.27), (5.0, 1.0)])
def test_how_soon_it_looks_from_the_start_again(time: Time, took: float, pause: float) -> None:
    cursor = ClaimCursor()
    cursor.begin()
    time.now += took
    cursor.move([a_job(1)], full=True)
    time.now += pause - 0.001
    assert claim(cursor, a_job(2))[0].unqueued == at(1)
    time.now += 0.002
    assert cursor.begin() == EVERYWHERE
