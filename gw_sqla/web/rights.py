"""Who looks, and what they may do: one right for each kind of action, for people have different ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from starlette.requests import Request

from gw_sqla.errors import ConfigurationError

__all__ = ["ALL_RIGHTS", "NOBODY", "Access", "Right", "Viewer", "reader"]


class Right(StrEnum):
    """What somebody may do."""

    READ = "read"
    """See everything; without it nothing at all, and the others are worth nothing."""
    RETRY = "retry"
    RESCHEDULE = "reschedule"
    COMPLETE = "complete"
    FAIL = "fail"
    REMOVE = "remove"
    EDIT = "edit"
    """Change payloads."""
    COPY = "copy"
    """Run a copy of a job."""
    ADD = "add"
    """Add jobs, and run items of the crontab now."""
    PAUSE = "pause"
    """Pause and resume."""
    UNLOCK = "unlock"
    """Clear the locks of workers, and sweep those of dead ones."""


ALL_RIGHTS = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks: their rights, and the ``name`` that the audit and pauses have (200 characters at most).

    Raises ConfigurationError for rights that are none.
    """

    rights: frozenset[Right] = field(default_factory=frozenset)
    name: str = "dashboard"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "rights", frozenset(Right(right) for right in self.rights))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"rights: must be a set of gw_sqla.web.Right ({', '.join(Right)}), is {self.rights!r}"
            ) from error
        if not isinstance(self.name, str) or not 1 <= len(self.name) <= 200 or not self.name.isprintable():
            raise ConfigurationError("name: must be 1 to 200 printable characters: it is written to the audit")


NOBODY = Viewer()
"""Sees nothing."""


def reader(name: str = "dashboard") -> Viewer:
    """Return somebody who sees everything and does nothing."""
    return Viewer(frozenset({Right.READ}), name)


Access: TypeAlias = Callable[[Request], Viewer | Awaitable[Viewer]]
"""Says who makes a request; it may raise Starlette's HTTPException, with a challenge say (401)."""
