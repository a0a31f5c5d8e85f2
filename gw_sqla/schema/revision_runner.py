"""Runs the Alembic revisions of the folder ``alembic/`` over one connection, or writes them as text.

A migration is one transaction. It first takes an advisory lock, so that gw_sqla's migrators queue up, and looks at
the schema only then. Peers do not know that lock: with them the ledger decides, see `gw_sqla.schema.migrations`.

Revisions get a function that runs an SQL file, and nothing else: neither Alembic's global ``op``, which two
migrations in one process would fight over, nor anything of gw_sqla that may change after a release. The SQL files
hold PostgreSQL's own text, with ``__schema__`` for the quoted schema name, ``__schema_name__`` for the same as a
string, and ``$body$`` around function bodies.

This module imports Alembic; a worker that only checks its schema never loads it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO, TypeAlias, TypedDict

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from alembic.script.revision import RangeNotAncestorError, ResolutionError, RevisionError
from alembic.util import CommandError

from gw_sqla.errors import ConfigurationError, SchemaError
from gw_sqla.schema.migration_ledger import (
    HEAD,
    VERSION_TABLE,
    Action,
    MigrationReport,
    PeerAtWorkError,
    SchemaState,
    read_state,
    require_access,
    require_supported,
)
from gw_sqla.statements.quoting import dollar_tag, literal, quoted

__all__ = [
    "OFFLINE_DIALECT",
    "downgrade",
    "known_revisions",
    "offline_sql",
    "options",
    "run_offline",
    "run_online",
    "scripts_folder",
    "upgrade",
    "write_downgrade",
    "write_upgrade",
]

log = logging.getLogger(__name__)

_STATEMENT = re.compile(r"(?:\$body\$.*?\$body\$|--[^\n]*|'[^']*'|[^;])++;", re.DOTALL)
_TOKEN = re.compile(r"__schema_name__|__schema__|\$body\$")

_NEWEST = frozenset({"head", "heads", HEAD})

Steps: TypeAlias = Callable[[tuple[str, ...], MigrationContext], list[RevisionStep]]
"""From the revisions that the database is at to the steps to take: Alembic's ``fn``."""


class OfflineDialect(TypedDict):
    dialect_name: str
    dialect_opts: dict[str, str]


OFFLINE_DIALECT = OfflineDialect(dialect_name="postgresql", dialect_opts={"paramstyle": "named"})
"""For Alembic without a connection. The parameter style is one that does not double the % in a schema's name."""


class Options(TypedDict):
    version_table: str
    version_table_schema: str


def options(schema: str) -> Options:
    """Return what Alembic must be configured with, on its command line and here."""
    return {"version_table": VERSION_TABLE, "version_table_schema": sa.quoted_name(schema, quote=True)}


def upgrade(connection: sa.Connection, *, schema: str, revision: str) -> MigrationReport:
    """Upgrade in the caller's transaction; create or adopt the schema where it is not ours yet.

    A schema that a newer gw_sqla migrated is left alone, whatever the revision.
    """
    opts = {**options(schema), "fn": upgrade_steps(revision), "destination_rev": revision}
    return run_online(MigrationContext.configure(connection, opts=opts), schema, leave_newer=True)


def downgrade(connection: sa.Connection, *, schema: str, revision: str) -> MigrationReport:
    """Downgrade in the caller's transaction; at ``base`` nothing that we made is left."""
    opts = {**options(schema), "fn": downgrade_steps(revision), "destination_rev": revision}
    return run_online(MigrationContext.configure(connection, opts=opts), schema)


def offline_sql(*, schema: str, adopt: bool) -> str:
    """Return the whole upgrade as text for psql: one transaction that first checks what is there."""
    buffer = io.StringIO()
    run_offline(_offline(schema, upgrade_steps("head"), "head", buffer), schema, adopt=adopt)
    return buffer.getvalue()


def write_upgrade(output: TextIO, *, schema: str, start: str | None, revision: str, adopt: bool) -> None:
    """Write the upgrade from one revision (None: nothing) to another, as a part of somebody's script."""
    _write_steps(_offline(schema, upgrade_steps(revision), revision, output, start), schema, adopt=adopt)


def write_downgrade(output: TextIO, *, schema: str, start: str, revision: str) -> None:
    """Write the downgrade from one revision to another or to ``base``, as a part of somebody's script."""
    _write_steps(_offline(schema, downgrade_steps(revision), revision, output, start), schema, adopt=False)


def _offline(schema: str, steps: Steps, revision: str, output: TextIO, start: str | None = None) -> MigrationContext:
    opts = {**options(schema), "as_sql": True, "output_buffer": output, "fn": steps}
    opts |= {"destination_rev": revision, "starting_rev": start}
    return MigrationContext.configure(**OFFLINE_DIALECT, opts=opts)


def run_online(ctx: MigrationContext, schema: str, *, leave_newer: bool = False) -> MigrationReport:
    """Do what the context was configured for, in the transaction that its connection is in.

    A schema that a newer gw_sqla migrated is left alone on the way to the newest revision known here, or to any with
    ``leave_newer``; else Alembic does not find its revision.

    Raises PeerAtWorkError where another installer has to finish first, AccessError, SchemaTooOldError,
    SchemaTooNewError, SchemaError, and what the database and Alembic say.
    """
    connection = ctx.connection
    if connection is None:
        raise ConfigurationError("an online migration needs a connection")
    connection.exec_driver_sql(lock_sql(schema))
    before = read_state(connection, schema)
    destination = ctx.opts.get("destination_rev")
    unchanged = MigrationReport(schema, "unchanged", before.version, before.version)
    if ctx.opts.get("dont_mutate"):  # alembic current
        ctx.run_migrations()
        return unchanged
    _require_migratable(before)
    if before.version is not None and before.version > HEAD and (leave_newer or destination in _NEWEST):
        log.warning("schema %r was migrated by a newer gw_sqla: revision %s, here %s", schema, before.version, HEAD)
        return unchanged
    run_sql = partial(_execute, connection, schema)
    if destination != "base":
        run_sql("schema_create.sql")
        ctx.run_migrations(run_sql=run_sql, adopt=before.newest is not None)
    elif before.version is not None:
        ctx.run_migrations(run_sql=run_sql, adopt=False)
        run_sql("schema_drop.sql")
    return _report(before, ctx.get_current_revision())


def run_offline(ctx: MigrationContext, schema: str, *, adopt: bool) -> None:
    """Write what the context was configured for, as one transaction, to its output buffer."""
    with ctx.begin_transaction():
        _write_steps(ctx, schema, adopt=adopt)


def _write_steps(ctx: MigrationContext, schema: str, *, adopt: bool) -> None:
    run_sql = partial(_write, ctx, schema)
    to_base = ctx.opts.get("destination_rev") == "base"
    ctx.impl.static_output(f"{lock_sql(schema)};")
    if not to_base and not ctx.get_current_heads():
        run_sql("offline_adopt.sql" if adopt else "offline_create.sql")
        run_sql("schema_create.sql")
    ctx.run_migrations(run_sql=run_sql, adopt=adopt)
    if to_base:
        run_sql("schema_drop.sql")


def _require_migratable(state: SchemaState) -> None:
    if state.being_installed:
        raise PeerAtWorkError
    require_access(state)
    require_supported(state)
    if state.version is not None and state.newest is None:
        raise SchemaError(
            state.schema,
            f"schema {state.schema!r} was migrated by gw_sqla ({state.version}), but its table migrations is "
            "gone or empty: restore it, or drop the schema",
        )


def _report(before: SchemaState, after: str | None) -> MigrationReport:
    action: Action
    if after == before.version:
        action = "unchanged"
    elif before.version is None:
        action = "created" if before.newest is None else "adopted"
    else:
        action = "downgraded" if after is None or after < before.version else "upgraded"
    return MigrationReport(before.schema, action, before.version, after)


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


def lock_sql(schema: str) -> str:
    """Return the statement that makes gw_sqla's migrators of this schema take turns, until the transaction ends."""
    digest = hashlib.sha256(f"gw_sqla migrates {schema}".encode()).digest()
    return f"select pg_advisory_xact_lock({int.from_bytes(digest[:8], signed=True)})"


def _statements(file: str, schema: str) -> Collection[str]:
    """Read a file of ``sql/`` as single statements for this schema."""
    values = {"__schema__": quoted(schema), "__schema_name__": literal(schema), "$body$": dollar_tag(schema)}
    text = (scripts_folder() / "sql" / file).read_text(encoding="utf-8")
    return [
        _TOKEN.sub(lambda token: values[token.group()], statement.strip()) for statement in _STATEMENT.findall(text)
    ]


def _execute(connection: sa.Connection, schema: str, file: str) -> None:
    for statement in _statements(file, schema):
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _write(ctx: MigrationContext, schema: str, file: str) -> None:
    for statement in _statements(file, schema):
        ctx.impl.static_output(statement)
