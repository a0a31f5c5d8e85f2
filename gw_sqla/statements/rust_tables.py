"""Whether a table is there that only Graphile Worker RS makes: statements name it where it is, and not elsewhere."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Boolean, text
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.statements.quoting import literal, quoted

__all__ = ["find_table"]


@lru_cache
def find_table(schema: str, table: str) -> TextualSelect:
    """Tell whether ``table`` is in the schema: one row, ``found``."""
    name = literal(f"{quoted(schema)}.{quoted(table)}").replace(":", "\\:")  # text() reads :name as a parameter
    return text(f"select pg_catalog.to_regclass({name}) is not null as found").columns(found=Boolean)
