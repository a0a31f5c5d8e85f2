"""What one look at the database says about the worker schema: ledger, own version, rights of the role.

Reading takes two round trips and no rights: the catalog first, which everybody may read, then the two tables, if they
are there and readable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import sqlalchemy as sa

from gw_sqla.schema.rights import MIGRATOR, ON_START, RIGHTS, RoleKind
from gw_sqla.schema.supported_revisions import OLDEST_LEDGER_ID, VERSION_TABLE
from gw_sqla.statements.quoting import TEXT, TEXTS

__all__ = ["SchemaState", "read_state"]

_PEER_SPEED = timedelta(seconds=10)
"""A peer's installer writes ledger rows at least this often; a ledger that rests longer is not being installed."""

_ALWAYS_SEEN = ("migrations", VERSION_TABLE, "_private_jobs")

_CATALOG = sa.text("""
    with needed as (
      select relname, pg_catalog.array_agg(privilege) as privileges
      from rows from (pg_catalog.unnest(:names), pg_catalog.unnest(:privileges)) as pairs (relname, privilege)
      group by relname
    )
    select
      pg_catalog.has_schema_privilege(n.oid, 'USAGE') as usage,
      current_user as role,
      c.relname,
      pg_catalog.pg_get_userbyid(c.relowner) as owner,
      array(
        select privilege
        from pg_catalog.unnest(needed.privileges) as privilege
        where not pg_catalog.has_table_privilege(c.oid, privilege)
      ) as missing,
      pg_catalog.has_table_privilege(c.oid, 'SELECT') as selects,
      pg_catalog.row_security_active(c.oid) and not exists (
        select from pg_catalog.pg_policy as p, pg_catalog.unnest(p.polroles) as named
        where
          p.polrelid = c.oid and p.polpermissive
          and (named = cast(0 as pg_catalog.oid) or pg_catalog.pg_has_role(named, 'USAGE'))
      ) as hidden,
      exists (
        select from pg_catalog.pg_attribute where attrelid = c.oid and attname = 'breaking' and not attisdropped
      ) as has_breaking
    from pg_catalog.pg_namespace as n
    left join (pg_catalog.pg_class as c join needed on needed.relname = c.relname) on c.relnamespace = n.oid
    where n.nspname = :schema
""").bindparams(
    sa.bindparam("schema", type_=TEXT), sa.bindparam("names", type_=TEXTS), sa.bindparam("privileges", type_=TEXTS)
)


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
    kind: RoleKind = "worker"
    """What the role is looked at as."""
    missing: tuple[str, ...] = ()
    """Privileges that such a role needs and this one lacks, such as ``SELECT on _private_jobs``."""
    hidden: tuple[str, ...] = ()
    """Tables that such a role needs and whose rows row level security hides from this one."""
    unread: bool = False
    """The role may not read the ledger or our own version: nothing is known of either."""
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


def read_state(connection: sa.Connection, schema: str, kind: RoleKind = "worker") -> SchemaState:
    """Look at the schema, in the connection's own transaction; changes nothing, raises database errors only."""
    needed = ON_START if kind in {"worker", MIGRATOR} else RIGHTS[kind].tables
    names = [*_ALWAYS_SEEN, *(name for name, rights in needed.items() for _ in rights)]
    privileges = [*(None for _ in _ALWAYS_SEEN), *(right for rights in needed.values() for right in rights)]
    rows = connection.execute(_CATALOG, {"schema": schema, "names": names, "privileges": privileges}).all()
    if not rows:
        return SchemaState(schema, kind=kind)
    tables = {row.relname: row for row in rows if row.relname is not None}
    missing = [f"{privilege} on {name}" for name, row in sorted(tables.items()) for privilege in row.missing]
    chief = tables.get("_private_jobs") or tables.get("migrations")
    ledger = tables.get("migrations")
    seen = SchemaState(
        schema,
        role=rows[0].role,
        usage=rows[0].usage,
        owner=chief.owner if chief else None,
        kind=kind,
        missing=tuple(missing),
        hidden=tuple(sorted(name for name, row in tables.items() if row.hidden and name in needed)),
        has_ledger=ledger is not None,
        has_breaking=ledger is not None and ledger.has_breaking,
    )
    versions = [tables[name] for name in ("migrations", VERSION_TABLE) if name in tables]
    if not seen.usage or any(row.hidden or not row.selects for row in versions):
        return replace(seen, unread=True)
    return _read_tables(connection, seen, has_version=VERSION_TABLE in tables)


def _read_tables(connection: sa.Connection, seen: SchemaState, *, has_version: bool) -> SchemaState:
    name = sa.quoted_name(seen.schema, quote=True)
    ledger = sa.table("migrations", sa.column("id"), sa.column("ts"), sa.column("breaking"), schema=name)
    version = sa.table(VERSION_TABLE, sa.column("version_num"), schema=name)
    facts = {
        "newest": sa.func.pg_catalog.max(ledger.c.id),
        "newest_breaking": sa.func.pg_catalog.max(ledger.c.id).filter(ledger.c.breaking),
        "age": sa.type_coerce(sa.func.pg_catalog.clock_timestamp() - sa.func.pg_catalog.max(ledger.c.ts), sa.Interval),
    }
    columns = [fact.label(name) for name, fact in facts.items()] if seen.has_breaking else []
    if has_version:
        columns.append(sa.select(sa.func.pg_catalog.max(version.c.version_num)).scalar_subquery().label("version"))
    if not columns:
        return seen
    return replace(seen, **connection.execute(sa.select(*columns)).mappings().one())
