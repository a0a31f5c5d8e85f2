"""``completion``: the script with which a shell completes commands and options; click makes it, and answers to it."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gw_sqla.cli.options import debug_option

__all__ = ["command"]

_PROGRAM = "gw-sqla"
_VARIABLE = "_GW_SQLA_COMPLETE"
"""By which the script asks; click derives the same from the program's name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes gw-sqla.

    \b
    bash, in ~/.bashrc:  eval "$(gw-sqla completion bash)"
    zsh, in ~/.zshrc:    eval "$(gw-sqla completion zsh)"
    fish:                gw-sqla completion fish > ~/.config/fish/completions/gw-sqla.fish

    It completes the program gw-sqla, not python -m gw_sqla, and asks no database. bash must be 4.4 at least.
    """
    maker = get_completion_class(shell)
    if maker is None:  # a newer click may drop a shell
        raise click.ClickException(f"this version of click completes nothing in {shell}")
    # Not the class's source(): for bash that runs whatever bash is on the path, which need not be the one that asks.
    of_this_shell = maker(ctx.find_root().command, {}, _PROGRAM, _VARIABLE)
    click.echo(of_this_shell.source_template % of_this_shell.source_vars())
