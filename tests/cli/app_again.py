"""Another application, with a task of the same name."""

from __future__ import annotations

from gw_sqla import TaskRegistry

tasks = TaskRegistry()


@tasks.task("greet")
async def greet() -> None:
    """Do nothing."""
