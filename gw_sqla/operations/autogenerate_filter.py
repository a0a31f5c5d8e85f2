"""Keeps autogenerate's hands off the worker schema's tables.

They are recognised by name, not by schema: Alembic also reflects every table that the search path makes visible, and
then without a schema. The ledger is called ``migrations``, which may be a name of the user's too: its columns count.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from gw_sqla.models import WorkerBase

__all__ = ["include_object"]

_GRAPHILE = frozenset({"_private_jobs", "_private_job_queues", "_private_tasks", "_private_known_crontabs"})
_PREFIXES = ("_private_sqla_", "_private_pro_")
"""gw_sqla's own tables, and those of Graphile Worker's paid plugin."""
_RUST = "_private_workers"
_LEDGER = frozenset({"id", "ts", "breaking"})


def include_object(object: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: A002, ARG001
    """Tell Alembic whether an object is the application's: ``context.configure(include_object=include_object)``.

    Parameters are Alembic's. False for the worker schema's tables in the database, under whatever schema name, and for
    `gw_sqla.models` among the target metadata; True for everything else, a table of your models with such a name too.
    """
    if type_ != "table" or not isinstance(object, Table):
        return True
    if not reflected:  # a model; where the database has its table too, Alembic asks once, for the model
        return object.metadata is not WorkerBase.metadata
    if name is None:
        return True
    if name == "migrations":
        return frozenset(column.name for column in object.columns) != _LEDGER
    return name not in _GRAPHILE and name != _RUST and not name.startswith(_PREFIXES)
