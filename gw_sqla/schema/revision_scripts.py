"""Our Alembic revisions: where they are, which there are, and the way from one to another.

The way is what Alembic's own commands ask private functions for (``_upgrade_revs``, ``_downgrade_revs``); here it is
made of public ones. Rejected: those private ones, and the commands themselves, which run env.py under a context that
is global: two migrations in one process would fight over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypedDict

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from alembic.script.revision import RangeNotAncestorError, ResolutionError, RevisionError
from alembic.util import CommandError

from gw_sqla.errors import ConfigurationError
from gw_sqla.schema.supported_revisions import VERSION_TABLE

__all__ = [
    "Steps",
    "downgrade_steps",
    "known_revisions",
    "options",
    "require_known",
    "scripts_folder",
    "upgrade_steps",
]

Steps: TypeAlias = Callable[[tuple[str, ...], MigrationContext], list[RevisionStep]]
"""From the revisions that the database is at to the steps to take: Alembic's ``fn``."""


def scripts_folder() -> Path:
    """Find the scripts: inside the package in a wheel, beside it in the repository."""
    package = Path(__file__).parents[1]
    for folder in (package / "_alembic", package.parent / "alembic"):
        if (folder / "sql").is_dir():
            return folder
    raise ConfigurationError(f"the migration scripts are missing from this installation of gw_sqla: {package}")


def known_revisions() -> list[str]:
    """Return the ids of our revisions, oldest first."""
    return [script.revision for script in reversed(list(_scripts().walk_revisions()))]


class Options(TypedDict):
    version_table: str
    version_table_schema: str


def options(schema: str) -> Options:
    """Return what Alembic must be configured with, on its command line and here."""
    return {"version_table": VERSION_TABLE, "version_table_schema": sa.quoted_name(schema, quote=True)}


def upgrade_steps(revision: str) -> Steps:
    """Return what tells Alembic the way up to ``revision``: an id or its beginning, ``head``, or relative as ``+1``.

    The function raises CommandError where there is no such revision, or no way up to it.
    """

    def steps(heads: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        scripts = _scripts()
        with _command_errors(f"Destination {revision} is not a valid upgrade target from current head(s)"):
            way = list(scripts.iterate_revisions(revision, heads, implicit_base=True))
        return [MigrationStep.upgrade_from_script(scripts.revision_map, script) for script in reversed(way)]

    return steps


def downgrade_steps(revision: str) -> Steps:
    """Return what tells Alembic the way down to ``revision``: as for `upgrade_steps`, or ``base``."""

    def steps(heads: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        scripts = _scripts()
        with _command_errors(f"Destination {revision} is not a valid downgrade target from current head(s)"):
            way = list(scripts.iterate_revisions(heads, revision, select_for_downgrade=True))
        return [MigrationStep.downgrade_from_script(scripts.revision_map, script) for script in way]

    return steps


def require_known(revision: str) -> None:
    """Raise ConfigurationError for what can be no revision, as Alembic does only where it looks for a step."""
    known = known_revisions()
    said = f"revision: must be head, base, a step such as +1, or one of {', '.join(known)}"
    if not isinstance(revision, str) or not revision.strip():
        raise ConfigurationError(f"{said}; is {revision!r}")
    name = re.split("[+-]", revision, maxsplit=1)[0]
    if name not in {"", "head", "heads", "base"} and not any(one.startswith(name) for one in known):
        raise ConfigurationError(f"{said}; there is no {revision!r}")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(scripts_folder()))


@contextmanager
def _command_errors(no_way: str) -> Iterator[None]:
    """Raise what Alembic's own commands raise, which its command line prints as one line."""
    try:
        yield
    except RangeNotAncestorError as error:
        raise CommandError(no_way) from error
    except ResolutionError as error:
        raise CommandError(f"Can't locate revision identified by '{error.argument}'") from error
    except RevisionError as error:
        raise CommandError(str(error)) from error
