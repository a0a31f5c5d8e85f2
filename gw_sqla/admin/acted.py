"""What acting on jobs returns: frozen values, free of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gw_sqla.admin.values import Count
from gw_sqla.admin.workers import Worker
from gw_sqla.jobs.stored_job import ListedJob

__all__ = ["Acted", "LeftOut", "Preview", "Unlocked", "WhyLeftOut"]


class WhyLeftOut(StrEnum):
    """Why a job was left alone."""

    HELD = "held"
    """A worker has it, for less than four hours."""
    BUSY = "busy"
    """Another transaction has its row locked, or has just changed it: try again."""
    GONE = "gone"
    """There is no job of this id."""
    NO_TASK = "no task"
    """It cannot be copied: the row of its task is gone."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A job that was left alone; ``locked_by`` and ``locked_at`` where a worker has it."""

    job_id: int
    why: WhyLeftOut
    locked_by: str | None = None
    locked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acted:
    """What was done so far, in the caller's transaction.

    ``done``: how many jobs were changed. ``left_out``: how many were left alone, by reason; ``examples`` are the first
    100 of them. ``copies``: ids of the first 1000 jobs that `RunCopy` added. ``cursor``: where to go on, None where
    all is done.
    """

    done: int = 0
    left_out: Mapping[WhyLeftOut, int] = field(default_factory=dict)
    examples: tuple[LeftOut, ...] = ()
    copies: tuple[int, ...] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What acting would meet: how many jobs fit, how many of these a worker has, and ten samples."""

    count: Count
    held: Count
    samples: tuple[ListedJob, ...]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """How many jobs and queues were unlocked; ``living`` are the workers that were left alone, for they live."""

    jobs: int
    queues: int
    living: tuple[Worker, ...]
