"""An action on many jobs: chunks of 1,000, each in a transaction of its own.

One transaction for all of them would hold locks on jobs that workers want, keep vacuum away, and lose all its work at a
fault of the network. So each chunk of `gw_sqla.admin.Admin.act` is committed; where one fails, nothing of it is done,
and it is said what was, and how to go on: by the cursor, which also says up to which job the action was meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gw_sqla.admin import Action, Admin, Jobs, LeftOut, WhyLeftOut
from gw_sqla.cli.terminal_text import jobs_were
from gw_sqla.database.session import AsyncSession, async_sessionmaker

__all__ = ["Tally", "act_on_all"]

_CHUNK = 1000
_MOST_EXAMPLES = 100


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
    sessions: async_sessionmaker[AsyncSession],
    admin: Admin,
    action: Action,
    jobs: Jobs,
    tally: Tally,
    *,
    actor: str | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Act on every job, chunk by chunk, and keep the tally; ``advance`` hears how many were met."""
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
        if acted.cursor is None:
            return
