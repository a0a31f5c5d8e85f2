"""Acts through a door; many jobs to act on."""

from __future__ import annotations

from typing import Any

from gw_sqla.admin import Acted
from tests.admin.door import Door
from tests.admin.test_explain import add
from tests.repository.look import Look


async def act(door: Door, action: Any, jobs: Any, **options: Any) -> Acted:
    found = await door.ask("act", action, jobs, **options)
    assert isinstance(found, Acted)
    return found


async def add_many(look: Look, count: int, **columns: Any) -> int:
    """Add so many jobs like one; return the id of the first."""
    first = await add(look, **columns)
    await look.execute(
        "insert into {s}._private_jobs (task_id, attempts, max_attempts, run_at) "
        f"select task_id, attempts, max_attempts, run_at from {{s}}._private_jobs, generate_series(2, {count}) "
        f"where id = {first}"
    )
    return first
