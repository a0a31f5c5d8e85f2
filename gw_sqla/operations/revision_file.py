"""Writes a revision into the user's own history that takes the worker schema to one of gw_sqla's revisions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from alembic.autogenerate import render_python_code
from alembic.config import Config
from alembic.operations import MigrateOperation
from alembic.operations.ops import UpgradeOps
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError, rev_id

from gw_sqla.errors import ConfigurationError
from gw_sqla.operations.schema_operations import UpgradeJobSchemaOp
from gw_sqla.schema.supported_revisions import HEAD
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["pinned_revision", "write_revision"]


def write_revision(
    config: Config,
    *,
    revision: str = HEAD,
    schema: str = DEFAULT_SCHEMA,
    head: str = "head",
    message: str | None = None,
    version_path: str | None = None,
) -> Path | None:
    """Write the file with the user's own template and return its path; None where the history is there already.

    ``config`` is the user's Alembic configuration, ``head`` and ``version_path`` as for ``alembic revision``. Neither
    env.py nor a database is needed. Raises ConfigurationError for a history that cannot be read or continued, a
    revision that is unknown here, and a template that leaves the operation out.
    """
    try:
        scripts = ScriptDirectory.from_config(config)
        start = pinned_revision(scripts, head, schema)
        if start == revision:
            return None
        step = UpgradeJobSchemaOp(revision, start=start, schema=schema)
        script = scripts.generate_revision(
            rev_id(),
            message or f"worker schema at {revision} of gw_sqla",
            head=head,
            version_path=version_path,
            imports="import gw_sqla.operations  # gives op its operations",
            upgrades=_code(step),
            downgrades=_code(step.reverse()),
            config=config,
        )
    except (CommandError, RevisionError) as error:
        raise ConfigurationError(f"your Alembic history: {error}") from error
    assert script is not None
    path = Path(script.path)
    if pinned_revision_in(path, schema) != revision:
        path.unlink()
        raise ConfigurationError("your script.py.mako leaves out ${upgrades}, where the operation would stand")
    return path


def pinned_revision(scripts: ScriptDirectory, head: str, schema: str) -> str | None:
    """Return the revision of ours that a history leads to, by the newest of its steps; None where it has none."""
    for script in scripts.iterate_revisions(head, "base"):
        pinned = pinned_revision_in(Path(script.path), schema)
        if pinned is not None:
            return pinned
    return None


def pinned_revision_in(path: Path, schema: str) -> str | None:
    """Return what a revision's file hands to ``upgrade_job_schema`` for this schema; None where it does not."""
    pins = [call.args[0] for call in _calls(path) if _schema(call) == schema and call.args]
    return max((str(pin.value) for pin in pins if isinstance(pin, ast.Constant)), default=None)


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "upgrade_job_schema"
        ):
            yield node


def _schema(call: ast.Call) -> object:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "schema"]
    return given[0].value if given and isinstance(given[0], ast.Constant) else DEFAULT_SCHEMA


def _code(operation: MigrateOperation) -> str:
    lines = [line.strip() for line in render_python_code(UpgradeOps([operation])).splitlines()]
    [code] = [line for line in lines if not line.startswith("#")]
    return code
