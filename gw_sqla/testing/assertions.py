"""Assertions about the jobs of a test, with what was there in place of what was expected: the nearest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from gw_sqla.errors import JobTesterError
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.jobs.task import Task, identifier_of
from gw_sqla.testing.expectations import ExpectedJob, check_expected, differences, expected_payload, shown

__all__ = ["Expectation"]

_OPTIONS = frozenset(ExpectedJob.__annotations__)
_MOST_SHOWN = 5


class Expectation:
    """A job that a test expects to have been added. Raises JobTesterError for options that no job has."""

    def __init__(self, task: Task[Any] | str, payload: Any, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in _OPTIONS:
                near = get_close_matches(name, _OPTIONS, 1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_OPTIONS))}, and count"
                raise JobTesterError(f"{name}: is nothing that a job has: {hint}")
        check_expected(options)
        self._identifier = identifier_of(task)
        self._payload = expected_payload(task, payload)
        self._options = options

    def assert_added(self, jobs: Sequence[JobDetails], count: int | None, now: datetime) -> list[JobDetails]:
        """Return the jobs that are as expected; raises AssertionError where there is none, or not ``count``."""
        __tracebackhide__ = True
        fitting, others = self._sorted(jobs, now)
        if len(fitting) == count or (count is None and fitting):
            return fitting
        if count is None or not fitting:
            heading = "no job like this was added:"
        else:
            heading = f"expected {count} of these jobs, {len(fitting)} were added ({_ids(fitting)}):"
        raise AssertionError("\n".join([heading, *self._described(), *self._near_misses(others, jobs)]))

    def refute_added(self, jobs: Sequence[JobDetails], now: datetime) -> None:
        """Raise AssertionError where a job is as expected."""
        __tracebackhide__ = True
        fitting, _ = self._sorted(jobs, now)
        if fitting:
            added = [line for job in fitting[:_MOST_SHOWN] for line in _shown(job)]
            raise AssertionError(
                "\n".join(["no job like this was expected:", *self._described(), f"{len(fitting)} were added:", *added])
            )

    def _sorted(
        self, jobs: Sequence[JobDetails], now: datetime
    ) -> tuple[list[JobDetails], list[tuple[JobDetails, list[tuple[str, Any, Any]]]]]:
        of_task = [job for job in jobs if job.task_identifier == self._identifier]
        compared = [(job, differences(job, self._payload, self._options, now=now)) for job in of_task]
        others = sorted((pair for pair in compared if pair[1]), key=lambda pair: len(pair[1]))
        return [job for job, found in compared if not found], others

    def _described(self) -> list[str]:
        lines = [f"    task: {self._identifier!r}"]
        if self._payload is not None:
            lines.append(f"    payload: {shown(self._payload)}")
        return lines + [f"    {name}: {value!r}" for name, value in self._options.items()]

    def _near_misses(
        self, others: Sequence[tuple[JobDetails, list[tuple[str, Any, Any]]]], jobs: Sequence[JobDetails]
    ) -> list[str]:
        lines = []
        if others:
            lines.append(f"other jobs of {self._identifier!r} ({len(others)}), the nearest first:")
        for job, found in others[:_MOST_SHOWN]:
            lines.append(f"  job {job.id}:")
            lines += [f"    {name}: expected {shown(expected)}, is {shown(actual)}" for name, expected, actual in found]
        counts = Counter(job.task_identifier for job in jobs if job.task_identifier != self._identifier)
        if counts:
            others_of = ", ".join(f"{identifier!r} ({number})" for identifier, number in counts.items())
            lines.append(f"jobs of other tasks: {others_of}")
        return lines or ["this test has added no job"]


def _ids(jobs: Sequence[JobDetails]) -> str:
    return ", ".join(str(job.id) for job in jobs[:_MOST_SHOWN])


def _shown(job: JobDetails) -> list[str]:
    return [f"  job {job.id}: {shown(job.payload)}, run_at {job.run_at}, queue {job.queue_name!r}, key {job.key!r}"]
