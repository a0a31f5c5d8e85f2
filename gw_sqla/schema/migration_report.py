"""What a migration did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "MigrationReport"]

Action = Literal["created", "adopted", "upgraded", "downgraded", "unchanged"]


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did: ``before`` and ``after`` are our own revisions, None where there is none."""

    schema: str
    action: Action
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"schema {self.schema!r} {self.action}: {self.before or 'nothing'} -> {self.after or 'nothing'}"
