"""``op.upgrade_job_schema`` and ``op.downgrade_job_schema``: the worker schema as a step of the user's own migrations.

A step is pinned to one of gw_sqla's revisions. These never change, so whoever replays the user's history years later
gets the same schema. The step runs our revisions in the user's transaction and counts them in our own version table in
the worker schema, as `gw_sqla.migrate` does: the two ways may meet in one database. A database that is there or
further already is left alone.

Rejected: our revisions themselves in the user's history. Their ids (0001) would meet the user's, and what they count
would be in the user's version table, where a worker that checks its schema does not look.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations

from gw_sqla.errors import ConfigurationError, SchemaError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema import offline_sql, revision_runner
from gw_sqla.schema.migration_lock import PeerAtWorkError
from gw_sqla.schema.revision_scripts import known_revisions
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["DowngradeJobSchemaOp", "UpgradeJobSchemaOp", "branch_schema"]

log = logging.getLogger(__name__)


@Operations.register_operation("upgrade_job_schema")
class UpgradeJobSchemaOp(MigrateOperation):
    """Bring the worker schema to one of gw_sqla's revisions.

    ``revision``: which one, such as ``0002``. ``start``: the revision that the history before this step leads to, None
    where there is none; `reverse` and scripts written offline need it, a database knows by itself. ``schema``: the
    worker schema. ``adopt``: in a script written offline, expect a schema that Graphile Worker made.

    Raises ConfigurationError for a revision that is unknown here (``head`` is: it would not mean the same tomorrow)
    or not after ``start``.
    """

    def __init__(
        self, revision: str, *, start: str | None = None, schema: str = DEFAULT_SCHEMA, adopt: bool = False
    ) -> None:
        check_schema_name(schema)
        _check_order("start", start or "base", revision)
        self.revision = revision
        self.start = start
        self.schema = schema
        self.adopt = adopt

    @classmethod
    def upgrade_job_schema(
        cls,
        operations: Operations,
        revision: str,
        *,
        start: str | None = None,
        schema: str = DEFAULT_SCHEMA,
        adopt: bool = False,
    ) -> None:
        """Create, adopt or upgrade the worker schema; parameters and errors are those of UpgradeJobSchemaOp.

        Also raises what `gw_sqla.migrate` raises, SchemaError while another installer is at work, and
        database errors as they are.
        """
        operations.invoke(cls(revision, start=start, schema=schema, adopt=adopt))

    def reverse(self) -> DowngradeJobSchemaOp:
        """Return the operation that goes back to ``start``."""
        return DowngradeJobSchemaOp(self.start or "base", start=self.revision, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` prints."""
        return ("upgrade_job_schema", self.revision, self.schema)


@Operations.register_operation("downgrade_job_schema")
class DowngradeJobSchemaOp(MigrateOperation):
    """Take the worker schema back to one of gw_sqla's revisions, or to ``base``: what gw_sqla made is removed.

    ``start`` is the revision to begin at, in a script written offline and for `reverse`. Raises ConfigurationError
    for revisions that are unknown here or in the wrong order.
    """

    def __init__(self, revision: str, *, start: str, schema: str = DEFAULT_SCHEMA) -> None:
        check_schema_name(schema)
        _check_order("revision", revision, start)
        self.revision = revision
        self.start = start
        self.schema = schema

    @classmethod
    def downgrade_job_schema(
        cls, operations: Operations, revision: str, *, start: str, schema: str = DEFAULT_SCHEMA
    ) -> None:
        """Take our revisions back.

        Raises what `gw_sqla.schema.migrations.downgrade` raises, such as a database error 55006 while
        there are jobs, and ConfigurationError as DowngradeJobSchemaOp does.
        """
        operations.invoke(cls(revision, start=start, schema=schema))

    def reverse(self) -> UpgradeJobSchemaOp:
        """Return the operation that goes to ``start`` again."""
        before = None if self.revision == "base" else self.revision
        return UpgradeJobSchemaOp(self.start, start=before, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` prints."""
        return ("downgrade_job_schema", self.revision, self.schema)


def branch_schema() -> str:
    """Return the worker schema of the labelled branch: GRAPHILE_WORKER_SCHEMA, else graphile_worker."""
    return os.environ.get("GRAPHILE_WORKER_SCHEMA") or DEFAULT_SCHEMA


@Operations.implementation_for(UpgradeJobSchemaOp)
def _upgrade(operations: Operations, operation: UpgradeJobSchemaOp) -> None:
    context, schema, revision = operations.migration_context, operation.schema, operation.revision
    if context.connection is None or context.as_sql:
        output = context.output_buffer
        offline_sql.write_upgrade(
            output, schema=schema, start=operation.start, revision=revision, adopt=operation.adopt
        )
        return
    try:
        log.info("%s", revision_runner.upgrade(context.connection, schema=schema, revision=revision))
    except PeerAtWorkError as error:
        raise SchemaError(
            schema, f"another installer is at work in schema {schema!r}: try again when it is done"
        ) from error


@Operations.implementation_for(DowngradeJobSchemaOp)
def _downgrade(operations: Operations, operation: DowngradeJobSchemaOp) -> None:
    context, schema, revision = operations.migration_context, operation.schema, operation.revision
    if context.connection is None or context.as_sql:
        offline_sql.write_downgrade(context.output_buffer, schema=schema, start=operation.start, revision=revision)
        return
    log.info("%s", revision_runner.downgrade(context.connection, schema=schema, revision=revision))


def _check_order(argument: str, lower: str, upper: str) -> None:
    """Raise ConfigurationError unless both revisions are known and the second comes after the first."""
    known = ["base", *known_revisions()]
    for name in (lower, upper):
        if name not in known:
            raise ConfigurationError(
                f"gw_sqla has no revision {name!r} here (it has {', '.join(known[1:])}): pin to one of them, "
                "or upgrade gw_sqla if your history names a newer one"
            )
    if known.index(lower) >= known.index(upper):
        raise ConfigurationError(f"{argument}: revision {lower!r} does not come before {upper!r}")


@renderers.dispatch_for(UpgradeJobSchemaOp)
def _render_upgrade(context: AutogenContext, operation: UpgradeJobSchemaOp) -> str:
    options = {"start": operation.start} | ({"adopt": True} if operation.adopt else {})
    return _rendered(context, "upgrade_job_schema", operation.revision, operation.schema, options)


@renderers.dispatch_for(DowngradeJobSchemaOp)
def _render_downgrade(context: AutogenContext, operation: DowngradeJobSchemaOp) -> str:
    return _rendered(context, "downgrade_job_schema", operation.revision, operation.schema, {"start": operation.start})


def _rendered(context: AutogenContext, name: str, revision: str, schema: str, options: dict[str, Any]) -> str:
    context.imports.add("import gw_sqla.operations")
    named = options | ({} if schema == DEFAULT_SCHEMA else {"schema": schema})
    arguments = ", ".join([repr(revision), *(f"{key}={value!r}" for key, value in named.items() if value is not None)])
    return f"{context.opts.get('alembic_module_prefix') or ''}{name}({arguments})"
