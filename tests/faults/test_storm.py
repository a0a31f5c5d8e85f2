"""A short storm: every job ran, none is locked, no queue ran two at once, dead pools lost their locks in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.storm import Plan, run
from tests.faults.storm_judge import Run, overlaps


@pytest.mark.timeout(400)
def test_short_storm() -> None:
    aftermath = run(Plan(jobs=1200, queues=40, workers=3, seconds=10, seed=7, patience=240))
    print(aftermath)
    assert aftermath.problems() == []
    assert aftermath.deaths
    assert aftermath.restarts


def test_overlaps_are_seen() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)

    def ran(worker: int, began: int, ended: int | None, queue: str = "q") -> Run:
        end = None if ended is None else start + timedelta(seconds=ended)
        return Run(began, began, queue, worker, start + timedelta(seconds=began), end)

    death = {1: start + timedelta(seconds=5)}
    assert overlaps([ran(1, 0, 2), ran(2, 2, 3), ran(1, 1, 9, "another")], {}) == []
    assert len(overlaps([ran(1, 0, 2), ran(2, 1, 3)], {})) == 1
    assert overlaps([ran(1, 0, None), ran(2, 5, 6)], death) == []
    assert len(overlaps([ran(1, 0, None), ran(2, 4, 6)], death)) == 1
    assert len(overlaps([ran(2, 0, None), ran(1, 4, 6)], death)) == 1  # no end, though nobody killed it
    assert overlaps([ran(2, 0, None), ran(1, 4, 6)], death, {2}) == []
