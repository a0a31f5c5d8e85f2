"""``revision``: write the worker schema's next step into the user's own Alembic history."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from gw_sqla.cli.options import debug_option, option, schema_option
from gw_sqla.schema.supported_revisions import HEAD

__all__ = ["command"]


@click.command()
@option(
    "--config",
    "-c",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="ALEMBIC_CONFIG",
    help="Your Alembic configuration.  [default: alembic.ini and pyproject.toml, as for alembic]",
)
@schema_option
@option("--revision", default=HEAD, metavar="ID", help="The revision of gw_sqla to go to.")
@option("--head", default="head", metavar="ID", help="The revision of yours to follow, as for alembic revision.")
@option("--version-path", metavar="PATH", help="Where to write it, if you have several places.")
@option("--message", "-m", metavar="TEXT", help="What the file says it does.  [default: names the revision]")
@debug_option
def command(
    config: Path | None, schema: str, revision: str, head: str, version_path: str | None, message: str | None
) -> None:
    """Write a revision of your own Alembic history.

    It takes the worker schema from where your history leads it to a newer revision of gw_sqla: creates or adopts it at
    first. Run it again after an upgrade of gw_sqla. Prints the file's path, or nothing where there is nothing to do.
    """
    from alembic.config import Config

    from gw_sqla.operations.revision_file import write_revision

    is_toml = config is not None and config.name == "pyproject.toml"
    ini, toml = ("alembic.ini", config) if is_toml else (config or "alembic.ini", "pyproject.toml")
    with contextlib.redirect_stdout(sys.stderr):  # what Alembic and its hooks say
        path = write_revision(
            Config(ini, toml_file=toml),
            revision=revision,
            schema=schema,
            head=head,
            version_path=version_path,
            message=message,
        )
    if path is None:
        click.echo(f"your history leads to gw_sqla's revision {revision} already: nothing to write", err=True)
    else:
        click.echo(path)
