"""The search path of a migration: PostgreSQL's own objects, and nobody else's, whoever may create on the role's path.

The types of columns and arguments, the functions of defaults and checks are looked up while the schema is made, Alembic
compares names with operators that are found by the path, and older revisions, which never change, name little with its
schema. ``pg_temp`` stands last, for unnamed it would be the first place for types.

The path holds until the transaction ends, or until it is put back: a migration may be a step of somebody's own. Until
then what it was is kept in a setting of ours, as a script has no variables.
"""

from __future__ import annotations

__all__ = ["PUT_BACK", "SET"]

_KEPT = "gw_sqla.search_path"

SET = (
    f"select pg_catalog.set_config('{_KEPT}', pg_catalog.current_setting('search_path'), true), "
    "pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"
)
"""Its columns are worked out in their order."""

PUT_BACK = f"select pg_catalog.set_config('search_path', pg_catalog.current_setting('{_KEPT}', true), true)"
"""Harmless where there was no transaction, and so no path to put back."""
