"""Graphile Worker for Node.js as the tests run it, and schemas as it leaves them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import asyncpg
from sqlalchemy import URL

from gw_sqla.schema.supported_revisions import VERSION_TABLE
from tests.schema.catalog import Catalog

VERSIONS = {"0.17.3": Catalog(), "0.18.0": Catalog(ledger={20: False})}
"""The versions that the tests are run against, with what each has beside the contract (bodies are no part of it)."""


def peer_version(folder: str) -> str:
    """Return which version of Graphile Worker for Node.js is installed in the folder."""
    package = Path(folder) / "node_modules" / "graphile-worker" / "package.json"
    return str(json.loads(package.read_text())["version"])


def peer_environment(url: URL, schema: str = "graphile_worker") -> dict[str, str]:
    """Return the environment in which node-postgres finds the database.

    Graphile Worker would prefer DATABASE_URL: a developer's own database must not become the tests'.
    """
    values = {
        "PGHOST": url.query.get("host", url.host),
        "PGPORT": url.port and str(url.port),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "GRAPHILE_WORKER_SCHEMA": schema,
    }
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return {**inherited, **{name: str(value) for name, value in values.items() if value}}


async def make_peers(connection: asyncpg.Connection, *, ledger: int = 19, age: str = "1 day") -> None:
    """Turn the migrated default schema into one that a peer made, its ledger ending at the given id."""
    await connection.execute(f"""
        drop table graphile_worker.{VERSION_TABLE};
        drop index graphile_worker.sqla_jobs_queue_index, graphile_worker.sqla_jobs_ready_index,
          graphile_worker.sqla_jobs_failed_index, graphile_worker.sqla_jobs_turn_index;
        alter table graphile_worker._private_job_queues reset (fillfactor);
        drop table graphile_worker._private_sqla_workers, graphile_worker._private_sqla_snoozes,
          graphile_worker._private_sqla_audit, graphile_worker._private_sqla_pauses,
          graphile_worker._private_sqla_upkeep, graphile_worker._private_sqla_removed,
          graphile_worker._private_sqla_forwarded;
        drop function graphile_worker.sqla_complete_job;
        comment on table graphile_worker.migrations is null;
        delete from graphile_worker.migrations where id > {ledger};
        update graphile_worker.migrations set ts = now() - interval '{age}';
    """)
