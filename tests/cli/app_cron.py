"""An application with a cron item, which prints while it is imported."""

from __future__ import annotations

from gw_sqla import TaskRegistry
from tests.cli.app import Greeting

print("noise")

tasks = TaskRegistry()


@tasks.cron("15 3 * * *", id="nightly", payload={"name": "moon"})
@tasks.task("greet")
async def greet(payload: Greeting) -> None:
    """Do nothing."""
