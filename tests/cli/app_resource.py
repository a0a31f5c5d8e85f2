"""An application whose resource cannot be made: what it needs is not there."""

from __future__ import annotations

from gw_sqla import TaskRegistry

tasks = TaskRegistry()


class Mailer:
    """The resource."""


@tasks.resource
async def mailer() -> Mailer:
    """Raise what a client of a network raises."""
    raise ConnectionRefusedError(111, "no mail server there")


@tasks.task("send")
async def send(payload: str, mailer: Mailer) -> None:
    """Do nothing."""
