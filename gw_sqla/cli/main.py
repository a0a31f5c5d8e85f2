"""The command group, and the way from any error to one line and an exit code.

It imports little itself, so that everything big is imported by `gw_sqla.cli.startup_imports`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from gw_sqla.cli.options import EXIT_CODES, Invocation, debug_option
from gw_sqla.cli.startup_imports import import_to_stay

__all__ = ["main"]

_COMMANDS = ("worker", "migrate", "downgrade", "revision", "add", "schema", "crontab", "quickstart")


class _Commands(click.Group):
    """Imports the module of a command when the command is used, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

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
def cli(ctx: click.Context) -> None:
    """PostgreSQL job queue for SQLAlchemy, in the Graphile Worker schema.

    Every option can be given by an environment variable too; the help of a command names it.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with ``arguments`` (default: the program's own) and return the exit code.

    Raises nothing: errors are printed to standard error, in one line, or with their traceback after
    ``--debug``.
    """
    invocation = Invocation(tuple(sys.argv[1:] if arguments is None else arguments))
    try:
        code = cli.main(args=arguments, standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except SystemExit as ended:  # click's way when whoever reads our output has enough
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:  # the same, noticed at the last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        from gw_sqla.cli.error_report import report

        return report(error, debug=invocation.debug)
    return code if isinstance(code, int) else 0
