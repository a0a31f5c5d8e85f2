"""Creates, adopts, upgrades and removes the worker schema; `gw_sqla.schema.check` checks it.

    database                                      migrate()                       check_schema()
    no schema, or one without a ledger            creates revision 19             SchemaMissingError
    made by Graphile Worker, ledger 18, 19, 20    adopts it, jobs untouched       SchemaBehindError
    ledger below 18                               SchemaTooOldError               SchemaTooOldError
    ledger with a breaking id above 19            SchemaTooNewError               SchemaTooNewError
    made or adopted by gw_sqla, older             upgrades it                     SchemaBehindError
    made or adopted by gw_sqla                    leaves it alone                 passes

`migrate` never sends ``worker:migrate`` for a schema that it creates. No worker runs in it yet, and the channel is
shared by all schemas of a database: Graphile Worker for Node.js stops at any breaking migration that it hears of.

Alembic is imported where a migration runs: this module loads with an application, which may never migrate.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.schema.migration_lock import in_turn
from gw_sqla.schema.migration_report import MigrationReport
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["downgrade", "migrate", "migration_sql"]


async def migrate(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    revision: str = "head",
    lock_timeout: timedelta | None = None,
) -> MigrationReport:
    """Create, adopt or upgrade the worker schema, in one transaction of its own.

    ``revision`` is one of gw_sqla's Alembic revisions. On a schema with many jobs the index is built while
    writes to the jobs wait, and it waits for transactions that have added jobs. For whom it waits is logged, after half
    a second; ``lock_timeout`` limits how long it waits for each lock, None does not.

    Raises SchemaLockedError (after that time; nothing was changed), AccessError (the role does not own the schema, or
    may not create it), SchemaTooOldError, SchemaTooNewError,
    SchemaError (an object of another kind has a name that the schema needs), ConfigurationError (schema name,
    revision), and database errors as they are. A cancellation rolls back.
    """
    from gw_sqla.schema import revision_runner

    check_schema_name(schema)
    return await in_turn(
        engine, schema, partial(revision_runner.upgrade, schema=schema, revision=revision), lock_timeout
    )


async def downgrade(
    engine: AsyncEngine,
    *,
    schema: str = DEFAULT_SCHEMA,
    revision: str = "base",
    lock_timeout: timedelta | None = None,
) -> MigrationReport:
    """Take our revisions back, in one transaction of its own; at ``base`` remove what we made.

    A schema that a peer made, or that a peer has migrated beyond 19, loses only gw_sqla's own objects. The schema
    itself is dropped if we created it and nothing else is in it. Running workers must be stopped first.

    Raises SchemaInUseError while there are jobs, or objects of others that depend on the tables; SchemaLockedError,
    AccessError, ConfigurationError and database errors as `migrate` does. A cancellation rolls back.
    """
    from gw_sqla.schema import revision_runner

    check_schema_name(schema)
    return await in_turn(
        engine, schema, partial(revision_runner.downgrade, schema=schema, revision=revision), lock_timeout
    )


def migration_sql(*, schema: str = DEFAULT_SCHEMA, adopt: bool = False) -> str:
    """Return what `migrate` would run, as text for psql; needs no database.

    The script is one transaction. It stops with an error where there is a ledger already; with ``adopt`` it is the
    script for a schema made by Graphile Worker, and stops where that is missing, too old or too new.
    Raises ConfigurationError for an impossible schema name.
    """
    from gw_sqla.schema import offline_sql

    check_schema_name(schema)
    return offline_sql.upgrade_script(schema=schema, adopt=adopt)
