"""What ``pause``, ``resume`` and ``pauses`` share: what is meant, and how pauses are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gw_sqla.admin import Pause
from gw_sqla.cli.listing import Column, utc_text

__all__ = ["COLUMNS", "OTHERS", "check_meant", "meant_options"]

F = TypeVar("F", bound=Callable[..., Any])

OTHERS = "workers of Graphile Worker (Node.js and Rust) know no pauses: stop those"

COLUMNS: Sequence[Column[Pause]] = [
    Column("kind", lambda pause: pause.kind),
    Column("name", lambda pause: pause.name or None, cuts=True),
    Column("paused_at", lambda pause: pause.paused_at, lambda pause: utc_text(pause.paused_at)),
    Column("until", lambda pause: pause.until, lambda pause: utc_text(pause.until)),
    Column("paused_by", lambda pause: pause.paused_by, cuts=True),
    Column("reason", lambda pause: pause.reason, cuts=True),
]


def meant_options(command: F) -> F:
    """Declare ``--task``, ``--queue`` and ``--everything``."""
    for decorate in (
        click.option("--everything", is_flag=True, help="Every task and queue."),
        click.option("--queue", "queue_name", metavar="NAME", help="This queue."),
        click.option("--task", metavar="NAME", help="This task, by its identifier."),
    ):
        command = decorate(command)
    return command


def check_meant(task: str | None, queue_name: str | None, *, everything: bool) -> None:
    """Raise UsageError unless exactly one of them is given."""
    if sum((task is not None, queue_name is not None, everything)) != 1:
        raise click.UsageError("say what: --task NAME, --queue NAME, or --everything (one of them)")
