"""The commands: each is a module of this folder with its name, imported when it is used, so that each starts quickly.

A new command: write its module, whose ``command`` is a click command, and name it here.
"""

from __future__ import annotations

from difflib import get_close_matches

import click

from gw_sqla.cli.options import EXIT_CODES, debug_option
from gw_sqla.cli.startup_imports import import_to_stay
from gw_sqla.cli.terminal import heed_no_color

__all__ = ["group"]

_COMMANDS = (
    "worker",
    "metrics",
    "migrate",
    "downgrade",
    "revision",
    "grants",
    "doctor",
    "jobs",
    "failures",
    "tasks",
    "queues",
    "workers",
    "pause",
    "resume",
    "pauses",
    "cleanup",
    "audit",
    "stats",
    "top",
    "web",
    "add",
    "schema",
    "crontab",
    "forward",
    "postgres",
    "quickstart",
    "completion",
)


class _Commands(click.Group):
    """Imports the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, and suggest a command for one that was mistyped."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], _COMMANDS, 1)
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]}?", ctx) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_to_stay(f"gw_sqla.cli.{cmd_name}").command
        return command


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog=EXIT_CODES,
)
@click.version_option(package_name="gw-sqla", prog_name="gw-sqla")
@debug_option
@click.pass_context
def group(ctx: click.Context) -> None:
    """PostgreSQL job queue for SQLAlchemy, in the Graphile Worker schema.

    Most options can be given by an environment variable too; the help of a command names it.
    """
    heed_no_color(ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
