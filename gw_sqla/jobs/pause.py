"""What is paused: everything, a task or a queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

__all__ = ["Pause", "PauseKind", "PauseSeen", "as_pause"]

PauseKind: TypeAlias = Literal["everything", "task", "queue"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause as it is stored: of everything, or of the task or queue ``name`` (empty for everything).

    ``until``: when it ends by itself; None where somebody must end it. ``reason`` and ``paused_by`` are for people.
    """

    kind: PauseKind
    name: str
    paused_at: datetime
    until: datetime | None
    reason: str | None
    paused_by: str | None

    def __str__(self) -> str:
        what = "everything" if self.kind == "everything" else f"{self.kind} {self.name!r}"
        until = "" if self.until is None else f" until {self.until.isoformat(timespec='seconds')}"
        by = "" if self.paused_by is None else f", by {self.paused_by}"
        return f"{what}{until}{by}" + ("" if self.reason is None else f": {self.reason}")


@dataclass(frozen=True, slots=True)
class PauseSeen:
    """A worker has seen a pause, or, with ``is_over``, that it has ended; one that was changed it sees anew."""

    pause: Pause
    is_over: bool
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)


def as_pause(row: Any) -> Pause:
    """Return a row of `gw_sqla.statements.pauses`, which begins with the fields, in their order."""
    return Pause(*tuple(row)[:6])
