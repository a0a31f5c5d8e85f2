"""A short storm: every job ran, none is locked, no queue ran two at once, dead pools lost their locks in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.storm import run
from tests.faults.storm_judge import Run, Taken, overlaps
from tests.faults.storm_worker import Plan


@pytest.mark.timeout(400)
def test_short_storm() -> None:
    aftermath = run(Plan(jobs=1200, queues=40, workers=3, seconds=10, seed=7, patience=240))
    print(aftermath)
    assert aftermath.problems() == []
    assert aftermath.deaths
    assert aftermath.restarts
    assert aftermath.deeds.counts["pauses"]


def test_overlaps_are_seen() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)

    def at(seconds: int) -> datetime:
        return start + timedelta(seconds=seconds)

    def ran(worker: int, began: int, ended: int | None, queue: str = "q") -> Run:
        return Run(began, began, queue, worker, at(began), None if ended is None else at(ended), at(began), True)

    death = {1: start + timedelta(seconds=5)}
    assert overlaps([ran(1, 0, 2), ran(2, 2, 3), ran(1, 1, 9, "another")], {}) == []
    assert len(overlaps([ran(1, 0, 2), ran(2, 1, 3)], {})) == 1
    assert overlaps([ran(1, 0, None), ran(2, 5, 6)], death) == []
    assert len(overlaps([ran(1, 0, None), ran(2, 4, 6)], death)) == 1
    assert len(overlaps([ran(2, 0, None), ran(1, 4, 6)], death)) == 1  # no end, though nobody killed it
    assert overlaps([ran(2, 0, None), ran(1, 4, 6)], death, {2}) == []

    unlocked = [Taken(1, at(2), at(3))]
    assert overlaps([ran(1, 0, 9), ran(2, 2, 6)], {}, taken=unlocked) == []
    assert len(overlaps([ran(1, 0, 9), ran(2, 1, 6)], {}, taken=unlocked)) == 1  # before it was unlocked
    assert len(overlaps([ran(1, 4, 9), ran(2, 5, 6)], {}, taken=unlocked)) == 1  # claimed afterwards
    assert overlaps([ran(2, 1, 9), ran(1, 3, 4)], {}, taken=unlocked) == []  # one that has not heard of it yet
    assert overlaps([ran(1, 0, 9), ran(2, 2, 6)], {}, deleted_at={0: at(2)}) == []
    assert len(overlaps([ran(1, 0, 9), ran(2, 2, 6)], {}, deleted_at={2: at(3)})) == 1
    assert len(overlaps([ran(1, 0, 9), ran(2, 2, 3), ran(2, 4, 5)], {})) == 2
    assert len(overlaps([ran(1, 0, 9, "a"), replace(ran(2, 2, 3, "b"), job_id=0)], {})) == 1  # of one job
