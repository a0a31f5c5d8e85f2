"""A job to add, and what it can be given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, TypedDict

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_flags, check_run_at, check_smallint, check_text
from gw_sqla.types import JobKeyMode

__all__ = ["AddOptions", "JobOptions", "JobSpec", "check_options"]


class JobOptions(TypedDict, total=False):
    """What a job can be given beside its task and payload, as keywords; see `JobSpec`."""

    queue_name: str | None
    run_at: datetime | None
    max_attempts: int | None
    job_key: str | None
    priority: int | None
    flags: Sequence[str] | None


class AddOptions(JobOptions, total=False):
    """The keywords of ``add_job``: those of a job, and what happens to a job that has its key already."""

    job_key_mode: JobKeyMode | None


_OPTIONS = frozenset(JobOptions.__annotations__)


def check_options(options: Iterable[str]) -> None:
    """Raise InvalidJobError for a keyword that no job has, as a type checker does."""
    for name in options:
        if name not in _OPTIONS:
            near = get_close_matches(name, _OPTIONS, 1, cutoff=0.5)
            raise InvalidJobError(name, "is no option of a job" + (f"; did you mean {near[0]}?" if near else ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job to add. What is None takes the schema's default.

    Parameters: ``task_identifier`` (1 to 128 characters); ``payload`` (any JSON value, default
    ``{}``); ``queue_name`` (a serial lane, 1 to 128 characters); ``run_at`` (timezone-aware, default
    the transaction's start); ``max_attempts`` (1 to 32767, default 25); ``job_key`` (1 to 512
    characters, unique in the whole schema); ``priority`` (-32768 to 32767, lower runs sooner,
    default 0); ``flags`` (names that workers can forbid).

    Raises InvalidJobError, which names the argument, for what the database would refuse.
    """

    task_identifier: str
    payload: Any = None
    queue_name: str | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    job_key: str | None = None
    priority: int | None = None
    flags: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_text("task_identifier", self.task_identifier, 128)
        if self.queue_name is not None:
            check_text("queue_name", self.queue_name, 128)
        if self.job_key is not None:
            check_text("job_key", self.job_key, 512)
        check_run_at(self.run_at)
        check_smallint("priority", self.priority)
        check_smallint("max_attempts", self.max_attempts, least=1)
        check_flags(self.flags)
