"""An action on many jobs: chunks of 1,000, each in a transaction of its own.

One transaction for all of them would hold locks on jobs that workers want, keep vacuum away, and lose all its work at a
fault of the network. So each chunk of `gw_sqla.admin.Admin.act` is committed; where one fails, nothing of it is done,
and it is said what was, and how to go on: by the cursor, which also says up to which job the action was meant.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker

from gw_sqla.admin.acted import LeftOut, WhyLeftOut
from gw_sqla.admin.actions import Action
from gw_sqla.admin.admin import Admin
from gw_sqla.admin.chosen import Jobs

__all__ = ["Tally", "act_on_all", "jobs_were"]

_CHUNK = 1000
_MOST_EXAMPLES = 100


def jobs_were(number: int) -> str:
    """Return the beginning of a sentence on so many jobs."""
    return "1 job was" if number == 1 else f"{number:,} jobs were" if number else "no job was"


@dataclass
class Tally:
    """What was done to jobs: ``done`` is the word for it, such as ``retried``; ``cursor`` is where to go on."""

    done: str
    cursor: str | None = None
    changed: int = 0
    copies: list[int] = field(default_factory=list)
    left_out: Counter[WhyLeftOut] = field(default_factory=Counter)
    examples: list[LeftOut] = field(default_factory=list)
    committing: int = 0
    """Jobs of the chunk whose commit was begun and not answered."""

    @property
    def known(self) -> str:
        """What is known of what was done, where it ended by an error."""
        said = f"{jobs_were(self.changed)} {self.done}"
        if self.committing:
            said += f"; whether {self.committing:,} more were is not certain, as their commit failed"
        if self.cursor is not None:
            said += f"; to go on behind those that were: --cursor {self.cursor}"
        return said


async def act_on_all(
    sessions: async_sessionmaker[Any],
    admin: Admin,
    action: Action,
    jobs: Jobs,
    tally: Tally,
    *,
    actor: str | None = None,
    advance: Callable[[int], object] = lambda _: None,
    within: timedelta | None = None,
) -> None:
    """Act on every job, chunk by chunk, and keep the tally; ``advance`` hears how many were met.

    After ``within``, no further chunk is begun: the tally's cursor then says where to go on, else it is None. A
    cancellation undoes the chunk that it meets; what was done before is committed.
    """
    end = math.inf if within is None else time.monotonic() + within.total_seconds()
    while True:
        async with sessions() as session:
            acted = await admin.act(session, action, jobs, most=_CHUNK, cursor=tally.cursor, actor=actor)
            tally.committing = acted.done
            await session.commit()
        tally.committing = 0
        tally.changed += acted.done
        tally.copies += acted.copies
        tally.left_out.update(acted.left_out)
        tally.examples += acted.examples[: _MOST_EXAMPLES - len(tally.examples)]
        tally.cursor = acted.cursor
        advance(acted.done + sum(acted.left_out.values()))
        if acted.cursor is None or time.monotonic() >= end:
            return
