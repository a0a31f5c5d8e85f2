"""How many connections an engine's pool can hand out at once."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

__all__ = ["most_connections"]


def most_connections(engine: AsyncEngine) -> int | None:
    """Return the bound of the pool; None for one that has none."""
    pool = engine.pool
    if not isinstance(pool, QueuePool) or pool.size() == 0:
        return None
    overflow: int = getattr(pool, "_max_overflow", -1)  # nothing public tells
    return None if overflow < 0 else pool.size() + overflow
