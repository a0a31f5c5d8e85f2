"""What can be done to jobs: frozen values, checked when they are made, so that nothing is half done for a bad argument.

Each is what one of the schema's functions does, or what adding a job with a key does to the one that is there
(`EditPayload`): workers of Graphile Worker see nothing that they would not see otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, get_args

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_run_at, check_smallint, check_storable
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE, check_payload_size

__all__ = [
    "Action",
    "Complete",
    "EditPayload",
    "Fail",
    "Remove",
    "Reschedule",
    "Retry",
    "RunCopy",
    "check_action",
    "detail_of",
]


@dataclass(frozen=True, slots=True)
class Complete:
    """Delete jobs as if they had succeeded (``complete_jobs``)."""

    name: ClassVar[str] = "complete"


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete jobs, for they are not wanted: for the database the same as `Complete`, but not for the audit."""

    name: ClassVar[str] = "remove"


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail jobs for good (``permanently_fail_jobs``); without a ``message``, with Graphile Worker's."""

    name: ClassVar[str] = "fail"
    message: str | None = None

    def __post_init__(self) -> None:
        if self.message is not None:
            check_storable("message", self.message)


@dataclass(frozen=True, slots=True)
class Retry:
    """Let jobs run with all their attempts (``reschedule_jobs``), now or at ``run_at``; last_error stays."""

    name: ClassVar[str] = "retry"
    run_at: datetime | None = None

    def __post_init__(self) -> None:
        check_run_at(self.run_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reschedule:
    """Change when and how jobs run (``reschedule_jobs``); what is not given stays.

    A job that has failed for good, and is given more ``max_attempts`` than it has made, runs again: now, unless
    ``run_at`` says when.
    """

    name: ClassVar[str] = "reschedule"
    run_at: datetime | None = None
    priority: int | None = None
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        check_run_at(self.run_at)
        check_smallint("priority", self.priority)
        check_smallint("max_attempts", self.max_attempts, least=1)
        if self.run_at is None and self.priority is None and self.max_attempts is None:
            raise InvalidJobError("run_at", "nothing to change: give run_at, priority or max_attempts")


@dataclass(frozen=True, slots=True)
class EditPayload:
    """Give jobs another payload, up to 16 MiB of JSON; their revision goes up, as where a key replaces a job."""

    name: ClassVar[str] = "edit"
    payload: Any = field(repr=False)
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", to_json(self.payload))
        check_payload_size(self.text, MAX_PAYLOAD_SIZE)


@dataclass(frozen=True, slots=True)
class RunCopy:
    """Add a copy of each job (``add_job``): task, payload, queue, priority, max_attempts and flags, no key, due now.

    The jobs themselves stay as they are, running ones too.
    """

    name: ClassVar[str] = "copy"


Action: TypeAlias = Complete | Remove | Fail | Retry | Reschedule | EditPayload | RunCopy
"""What `gw_sqla.admin.Admin.act` can do."""


def check_action(action: object) -> None:
    """Raise InvalidJobError for what is none."""
    if not isinstance(action, get_args(Action)):
        known = ", ".join(kind.__name__ for kind in get_args(Action))
        raise InvalidJobError("action", f"must be one of {known}, is {action!r}")


def detail_of(action: Action) -> str | None:
    """Return what the action was told, but for payloads."""
    told = [(one.name, getattr(action, one.name)) for one in fields(action) if one.repr]
    return " ".join(f"{name}={value}" for name, value in told if value is not None) or None
