"""What the database says about the worker schema: ledger, own version, rights of the role.

The ledger, table ``migrations``, is shared with Graphile Worker for Node.js and for Rust. Ids up to
19 are known here; a newer one that is not breaking is tolerated, a breaking one is refused. What is
gw_sqla's alone (an index, a table of workers) is counted by Alembic in its own version table.

Reading takes two round trips and no rights but the worker's own: the catalog first, which everybody
may read, then the two tables, if they are there and readable.
"""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from gw_sqla.errors import (
    AccessError,
    SchemaBehindError,
    SchemaMissingError,
    SchemaTooNewError,
    SchemaTooOldError,
)
from gw_sqla.statements.quoting import quoted
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = [
    "Action",
    "MigrationReport",
    "PeerAtWorkError",
    "SchemaState",
    "read_state",
    "require_access",
    "require_current",
    "require_supported",
]

log = logging.getLogger(__name__)

LEDGER_ID = 19
"""The Graphile Worker schema revision that this version creates and speaks."""
OLDEST_LEDGER_ID = 18
"""The oldest revision that can be adopted: from here to 19 there is only a marker."""
HEAD = "0004"
"""The newest of our own Alembic revisions; a test compares it with the scripts."""
VERSION_TABLE = "_private_sqla_alembic_version"

_PEER_SPEED = timedelta(seconds=10)
"""A peer's installer writes ledger rows at least this often; a ledger that rests longer is not being installed."""

_NEEDED = {
    "migrations": ["SELECT"],
    VERSION_TABLE: ["SELECT"],
    "_private_jobs": ["SELECT", "UPDATE", "DELETE"],
    "_private_job_queues": ["SELECT", "UPDATE"],
    "_private_tasks": ["SELECT", "INSERT"],
    "_private_sqla_workers": ["SELECT", "INSERT", "UPDATE", "DELETE"],
}
"""What every worker does with each table. Adding jobs, cron and clean-up need more; they say so when they run."""

_CATALOG = sa.text("""
    with needed as (
      select relname, array_agg(privilege) as privileges
      from unnest(cast(:names as text[]), cast(:privileges as text[])) as pairs (relname, privilege)
      group by relname
    )
    select
      has_schema_privilege(n.oid, 'USAGE') as usage,
      current_user as role,
      c.relname,
      pg_get_userbyid(c.relowner) as owner,
      array(
        select privilege from unnest(needed.privileges) as privilege where not has_table_privilege(c.oid, privilege)
      ) as missing,
      row_security_active(c.oid) and not exists (select from pg_policy where polrelid = c.oid) as hidden,
      exists (
        select from pg_attribute where attrelid = c.oid and attname = 'breaking' and not attisdropped
      ) as has_breaking
    from pg_namespace as n
    left join (pg_class as c join needed on needed.relname = c.relname) on c.relnamespace = n.oid
    where n.nspname = :schema
""").bindparams(
    sa.bindparam(
        "names", [name for name, privileges in _NEEDED.items() for _ in privileges], postgresql.ARRAY(sa.Text)
    ),
    sa.bindparam("privileges", [p for privileges in _NEEDED.values() for p in privileges], postgresql.ARRAY(sa.Text)),
)


Action = Literal["created", "adopted", "upgraded", "downgraded", "unchanged"]


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did: ``before`` and ``after`` are our own revisions, None where there is none."""

    schema: str
    action: Action
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"schema {self.schema!r} {self.action}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The worker schema as one look at the database saw it."""

    schema: str
    role: str | None = None
    """The current role; None where the schema does not exist."""
    usage: bool = False
    """The role may look into the schema."""
    owner: str | None = None
    """The owner of the jobs, or of the ledger where there are none; None where there is neither."""
    missing: tuple[str, ...] = ()
    """Privileges that a worker needs and the role lacks, such as ``SELECT on _private_jobs``."""
    hidden: tuple[str, ...] = ()
    """Tables whose rows row level security hides from the role."""
    has_ledger: bool = False
    has_breaking: bool = False
    """The ledger has the column ``breaking``, which it got long before revision 18."""
    newest: int | None = None
    """The newest id in the ledger; None where it is absent, empty or unreadable."""
    newest_breaking: int | None = None
    age: timedelta | None = None
    """Since the newest ledger row was written, by the server's clock."""
    version: str | None = None
    """Our own revision; None where gw_sqla has not migrated the schema."""

    @property
    def being_installed(self) -> bool:
        """Tell whether a peer's installer seems to be at work: a short ledger that is still growing."""
        return self.newest is not None and self.newest < OLDEST_LEDGER_ID and (self.age or _PEER_SPEED) < _PEER_SPEED


class PeerAtWorkError(Exception):
    """A peer's installer has begun the ledger and not finished it; never leaves gw_sqla.schema.migrations."""


def read_state(connection: sa.Connection, schema: str) -> SchemaState:
    """Look at the schema, in the connection's own transaction; changes nothing, raises database errors only."""
    rows = connection.execute(_CATALOG, {"schema": schema}).all()
    if not rows:
        return SchemaState(schema)
    tables = {row.relname: row for row in rows if row.relname is not None}
    missing = [f"{privilege} on {name}" for name, row in sorted(tables.items()) for privilege in row.missing]
    chief = tables.get("_private_jobs") or tables.get("migrations")
    ledger = tables.get("migrations")
    seen = SchemaState(
        schema,
        role=rows[0].role,
        usage=rows[0].usage,
        owner=chief.owner if chief else None,
        missing=tuple(missing),
        hidden=tuple(sorted(name for name, row in tables.items() if row.hidden)),
        has_ledger=ledger is not None,
        has_breaking=ledger is not None and ledger.has_breaking,
    )
    unreadable = {"SELECT on migrations", f"SELECT on {VERSION_TABLE}"}.intersection(missing)
    if not seen.usage or unreadable:
        return seen
    return _read_tables(connection, seen, has_version=VERSION_TABLE in tables)


def _read_tables(connection: sa.Connection, seen: SchemaState, *, has_version: bool) -> SchemaState:
    name = sa.quoted_name(seen.schema, quote=True)
    ledger = sa.table("migrations", sa.column("id"), sa.column("ts"), sa.column("breaking"), schema=name)
    version = sa.table(VERSION_TABLE, sa.column("version_num"), schema=name)
    facts = {
        "newest": sa.func.max(ledger.c.id),
        "newest_breaking": sa.func.max(ledger.c.id).filter(ledger.c.breaking),
        "age": sa.type_coerce(sa.func.clock_timestamp() - sa.func.max(ledger.c.ts), sa.Interval),
    }
    columns = [fact.label(name) for name, fact in facts.items()] if seen.has_breaking else []
    if has_version:
        columns.append(sa.select(sa.func.max(version.c.version_num)).scalar_subquery().label("version"))
    if not columns:
        return seen
    return replace(seen, **connection.execute(sa.select(*columns)).mappings().one())


def require_access(state: SchemaState) -> None:
    """Raise AccessError where the role lacks a right that every worker needs, or sees no rows.

    Row level security without a policy hides rows silently; with one, somebody has decided what is seen.
    """
    if state.role is None:
        return
    schema, role = quoted(state.schema), quoted(state.role)
    grants = (
        f"grant usage on schema {schema} to {role}; "
        f"grant select, insert, update, delete on all tables in schema {schema} to {role}"
    )
    owner = f"connect as {state.owner!r}, who owns its tables, or have it granted" if state.owner else "have it granted"
    if not state.usage:
        raise AccessError(f"role {state.role!r} may not use schema {state.schema!r}: {owner} ({grants})")
    if state.missing:
        faults = ", ".join(state.missing)
        raise AccessError(f"role {state.role!r} lacks rights in schema {state.schema!r} ({faults}): {owner} ({grants})")
    if state.hidden:
        raise AccessError(
            f"row level security hides the rows of {', '.join(state.hidden)} in schema {state.schema!r} from "
            f"role {state.role!r}: connect as {state.owner!r}, who owns them, "
            f"or have a superuser run: alter role {role} bypassrls"
        )


def require_supported(state: SchemaState) -> None:
    """Raise for a ledger that this version cannot work with: SchemaTooOldError, SchemaTooNewError.

    A ledger that is absent or empty passes.
    """
    if state.newest_breaking is not None and state.newest_breaking > LEDGER_ID:
        raise SchemaTooNewError(
            state.schema,
            f"schema {state.schema!r} is at Graphile Worker revision {state.newest} with the breaking migration "
            f"{state.newest_breaking}, and this version of gw_sqla knows them up to {LEDGER_ID}: upgrade gw_sqla",
        )
    if state.has_ledger and not state.has_breaking:
        raise SchemaTooOldError(
            state.schema,
            f"table migrations in schema {state.schema!r} has no column 'breaking': it belongs to another program "
            "(then use another schema) or to an old Graphile Worker (then upgrade with graphile-worker 0.16 or later)",
        )
    if state.newest is not None and state.newest < OLDEST_LEDGER_ID:
        raise SchemaTooOldError(
            state.schema,
            f"schema {state.schema!r} is at Graphile Worker revision {state.newest}, and gw_sqla needs at least "
            f"{OLDEST_LEDGER_ID}: upgrade it with graphile-worker 0.16 or later first",
        )


def require_current(state: SchemaState) -> None:
    """Raise unless a worker of this version can work in the schema with this role; log what is newer but harmless.

    Raises AccessError, SchemaMissingError, SchemaTooOldError, SchemaTooNewError, SchemaBehindError.
    """
    schema, newest, version = state.schema, state.newest, state.version
    how = "run: python -m gw_sqla migrate" + ("" if schema == DEFAULT_SCHEMA else f" --schema {shlex.quote(schema)}")
    require_access(state)
    require_supported(state)
    if newest is None:
        raise SchemaMissingError(schema, f"there is no Graphile Worker schema {schema!r} in this database; {how}")
    if version is None:
        raise SchemaBehindError(schema, f"gw_sqla has not migrated schema {schema!r} yet; {how}")
    if version < HEAD or newest < LEDGER_ID:
        raise SchemaBehindError(
            schema,
            f"schema {schema!r} is at Graphile Worker revision {newest} and gw_sqla revision {version}, and this "
            f"version needs {LEDGER_ID} and {HEAD}; {how}",
        )
    if newest > LEDGER_ID:
        log.warning(
            "schema %r is at Graphile Worker revision %s, newer than %s but not breaking", schema, newest, LEDGER_ID
        )
    if version > HEAD:
        log.warning("schema %r was migrated by a newer gw_sqla: revision %s, here %s", schema, version, HEAD)
