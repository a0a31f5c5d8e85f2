"""The tables that only Graphile Worker RS makes, where they are there beside ours."""

from __future__ import annotations

from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.statements.rust_tables import find_table

__all__ = ["RETIREMENTS", "is_there"]

RETIREMENTS = "_private_job_retirements"
"""Marks of jobs whose attempts are not to be given back."""


async def is_there(connection: WorkerConnection, schema: str, table: str) -> bool:
    """Look whether the table is in the schema. Raises and cancels as `WorkerConnection.fetch`."""
    [row] = await connection.fetch(find_table(schema, table), {})
    return bool(row["found"])
