"""The models say of each column what the database says."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Table, UniqueConstraint, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.models import WorkerBase

pytestmark = pytest.mark.anyio

NOT_MAPPED = {
    "migrations",
    "_private_sqla_alembic_version",
    "_private_sqla_audit",
    "_private_sqla_forwarded",
    "_private_sqla_holds",
    "_private_sqla_pauses",
    "_private_sqla_removed",
    "_private_sqla_snoozes",
    "_private_sqla_upkeep",
    "_private_sqla_workers",
}
VIEW = "jobs"


def in_database(connection: Connection, table: Table, schema: str) -> dict[str, tuple[Any, ...]]:
    found = inspect(connection)
    return {
        column["name"]: (
            column["type"].compile(connection.dialect),
            column["nullable"],
            "identity" in column,
            "computed" in column,
            column["default"] is not None and "computed" not in column,
        )
        for column in found.get_columns(table.name, schema)
    }


def in_model(connection: Connection, table: Table) -> dict[str, tuple[Any, ...]]:
    return {
        column.name: (
            column.type.compile(connection.dialect),
            bool(column.nullable),
            column.identity is not None,
            column.computed is not None,
            column.server_default is not None and column.computed is None and column.identity is None,
        )
        for column in table.columns
    }


@pytest.mark.parametrize("name", sorted(WorkerBase.metadata.tables))
async def test_columns(sessions: async_sessionmaker[AsyncSession], schema: str, name: str) -> None:
    table = WorkerBase.metadata.tables[name]

    def compare(session: Any) -> None:
        connection: Connection = session.connection()
        model, database = in_model(connection, table), in_database(connection, table, schema)
        if table.name == VIEW:  # PostgreSQL knows no NOT NULL in views
            model = {column: (said[0], True, *said[2:]) for column, said in model.items()}
        assert model == database
        assert list(model) == list(database), "the order, for select *"

    async with sessions() as session:
        await session.run_sync(compare)


@pytest.mark.parametrize("name", sorted(WorkerBase.metadata.tables))
async def test_keys(sessions: async_sessionmaker[AsyncSession], schema: str, name: str) -> None:
    table = WorkerBase.metadata.tables[name]
    unique = {
        tuple(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }

    def compare(session: Any) -> None:
        found = inspect(session.connection())
        if table.name == VIEW:
            return
        primary = found.get_pk_constraint(table.name, schema)["constrained_columns"]
        assert primary == [column.name for column in table.primary_key]
        assert unique == {tuple(key["column_names"]) for key in found.get_unique_constraints(table.name, schema)}
        assert not table.foreign_keys

    async with sessions() as session:
        await session.run_sync(compare)


async def test_every_table_has_its_model(engine: AsyncEngine, sessions: Any, schema: str) -> None:
    def names(session: Any) -> set[str]:
        found = inspect(session.connection())
        return {*found.get_table_names(schema), *found.get_view_names(schema)}

    async with sessions() as session:
        assert await session.run_sync(names) - NOT_MAPPED == {
            table.name for table in WorkerBase.metadata.tables.values()
        }
