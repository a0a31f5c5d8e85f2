"""Whether a table is there that only Graphile Worker RS, or only gw_sqla, makes: statements name it where it is."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import literal, quoted, statement

__all__ = ["find_table"]


@lru_cache
def find_table(schema: str, table: str) -> TextualSelect:
    """Tell whether ``table`` is in the schema: one row, ``found``."""
    name = f"pg_catalog.concat(__schema_text__, {literal(f'.{quoted(table)}')})"
    return statement(f"select pg_catalog.to_regclass({name}) is not null as found", schema).columns(found=Boolean)
