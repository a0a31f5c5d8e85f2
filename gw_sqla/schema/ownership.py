"""The SQL that makes a role the migrator of the worker schema.

It gets the schema where it is not there yet. Otherwise it becomes the owner of what the ledger's owner has in it, and
that one's own rights end with it. To make it a member of the old owner would be simpler, and would hand over all else
that this one may do; it is often a superuser. A schema in which others have tables is left to people: with them in
``public``, say, the owner of the ledger is the owner of everything.
"""

from __future__ import annotations

import re

from gw_sqla.statements.quoting import dollar_tag, literal, quoted

__all__ = ["do_block", "ownership"]

_TAKE_OVER = """declare
  namespace pg_catalog.oid := __inside__::pg_catalog.regnamespace;
  former pg_catalog.oid := (
    select relowner from pg_catalog.pg_class where relnamespace = namespace and relname = 'migrations'
  );
  change pg_catalog.text;
begin
  if pg_catalog.pg_get_userbyid(former) = __role__ then
    return;
  end if;
  if exists (
    select from pg_catalog.pg_class
    where
      relnamespace = namespace and relkind in ('r', 'p')
      and relname operator(pg_catalog.!~) '^(migrations$|_private_)'
  ) then
    raise exception 'there are tables of others in the schema: change the owners by hand';
  end if;
  for change in
    select pg_catalog.format('schema %s', oid::pg_catalog.regnamespace)
    from pg_catalog.pg_namespace
    where oid = namespace and nspowner = former
    union all
    select pg_catalog.format(
      '%s %s', case relkind when 'v' then 'view' when 'c' then 'type' else 'table' end, oid::pg_catalog.regclass
    )
    from pg_catalog.pg_class
    where relnamespace = namespace and relowner = former and relkind in ('r', 'p', 'v', 'c')
    union all
    select pg_catalog.format('routine %s', oid::pg_catalog.regprocedure)
    from pg_catalog.pg_proc
    where pronamespace = namespace and proowner = former
  loop
    execute pg_catalog.format('alter %s owner to %I', change, __role__);
  end loop;
end"""


def do_block(body: str) -> str:
    """Return a DO statement with this body."""
    tag = dollar_tag(body)
    return f"do {tag}\n{body}\n{tag};"


def ownership(role: str, schema: str) -> list[str]:
    """Return the statements, for names that can be a role's and a schema's; they run with pg_catalog on the path."""
    to, inside = quoted(role), quoted(schema)
    values = {"__inside__": literal(inside), "__role__": literal(role)}
    return [
        f"create schema if not exists {inside} authorization {to};",
        f"grant usage, create on schema {inside} to {to};",
        do_block(re.sub("__inside__|__role__", lambda name: values[name.group()], _TAKE_OVER)),
    ]
