"""What goes to a terminal and nowhere else: progress bars, questions, colours.

Colours are click's, which leaves them out where the output is no terminal; ``NO_COLOR`` it does not heed, so we do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["DeclinedError", "confirm", "heed_no_color", "progress", "yes_option"]

_REDRAWS = 200

yes_option = click.option("--yes", is_flag=True, help="Do it without asking. Has no environment variable.")


def heed_no_color(ctx: click.Context) -> None:
    """Let the command and those below it print without colours, if the environment asks for that."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


class DeclinedError(click.ClickException):
    """Somebody was asked, and said no."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("declined: nothing was done")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed, unless ``yes``.

    Raises DeclinedError for a no, UsageError where there is no terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask: add --yes if you mean it")
    if not click.confirm(question, err=True):
        raise DeclinedError


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on standard error if that is a terminal; yield what moves it on by a number."""
    if not sys.stderr.isatty() or not length:
        yield lambda _steps: None
        return
    with click.progressbar(
        length=length, label=label, file=sys.stderr, update_min_steps=max(1, length // _REDRAWS)
    ) as bar:
        yield bar.update
