"""An engine that makes connections as another one does, but holds none of that one's.

Whoever must connect while the pool of the program is exhausted takes its connections from here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["with_own_pool"]


def with_own_pool(engine: AsyncEngine, **execution_options: Any) -> AsyncEngine:
    """Return an engine with the same creator and events, and a new pool of the same kind; connects nowhere."""
    sync = engine.sync_engine
    options = {**sync.get_execution_options(), **execution_options}
    return AsyncEngine(
        Engine(
            sync.pool.recreate(),
            sync.dialect,
            sync.url,
            execution_options=options,
            hide_parameters=sync.hide_parameters,
        )
    )
