"""Jobs of priority 7 whose locks the database does not release: a trigger of the user's refuses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from gw_sqla import AsyncSession, async_sessionmaker

__all__ = ["NOT_DELETED", "NOT_ENDED", "trigger"]

Sessions = async_sessionmaker[AsyncSession]

REFUSE = """create function refuse() returns trigger language plpgsql as $$ begin
  {body}
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger refuse before delete or update on graphile_worker._private_jobs for each row execute function refuse()"""
NOT_DELETED = "if tg_op = 'DELETE' and old.priority = 7 then raise exception 'kept for the audit'; end if;"
NOT_ENDED = (
    "if old.priority = 7 and old.locked_by is not null and (tg_op = 'DELETE' or new.locked_by is null) "
    "then raise exception 'kept for the audit'; end if;"
)


@asynccontextmanager
async def trigger(sessions: Sessions, body: str) -> AsyncIterator[None]:
    """Refuse some writes to jobs inside the block."""
    async with sessions.begin() as session:
        for statement in REFUSE.format(body=body).split(";\ncreate trigger "):
            await session.execute(text(("" if "create function" in statement else "create trigger ") + statement))
    try:
        yield
    finally:
        async with sessions.begin() as session:
            await session.execute(text("drop function refuse cascade"))
