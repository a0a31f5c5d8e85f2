"""Autogenerate sees nothing of ours, drops nothing of ours, and still sees everything of the user's."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gw_sqla.models import WorkerBase
from gw_sqla.operations import include_object
from tests.operations.conftest import Migrator


def differences(
    migrator: Migrator, metadata: sa.MetaData | list[sa.MetaData], search_path: str = "public", **options: Any
) -> list[tuple[Any, ...]]:
    options = {"include_object": include_object, "target_metadata": metadata, **options}

    def compare(connection: sa.Connection) -> list[tuple[Any, ...]]:
        connection.exec_driver_sql(f"set local search_path = {search_path}")
        connection.dialect.default_schema_name = connection.exec_driver_sql("select current_schema()").scalar_one()
        context = MigrationContext.configure(connection, opts=options)
        changes: Any = compare_metadata(context, metadata)  # type: ignore[arg-type]
        return [(change[0], str(change[1])) for change in changes]

    return migrator.connected(compare)


def shop(schema: str | None = None) -> sa.MetaData:
    metadata = sa.MetaData(schema=schema)
    sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
    return metadata


@pytest.fixture
def database(migrated: Migrator) -> Migrator:
    migrated.execute("create table public.orders (id serial primary key)")
    migrated.execute("create table graphile_worker._private_workers (id text)")  # Rust's
    return migrated


PATHS = ["public", "public, graphile_worker", "graphile_worker, public"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("include_schemas", [False, True])
def test_nothing_of_ours(database: Migrator, path: str, include_schemas: bool) -> None:
    if include_schemas and not path.startswith("public"):
        pytest.skip("Alembic sees the user's tables twice then, whoever else is on the path")
    assert differences(database, shop(), path, include_schemas=include_schemas) == []


@pytest.mark.parametrize("path", PATHS[:2])
def test_the_users_tables_are_seen(database: Migrator, path: str) -> None:
    database.execute("create table public.old (id int); create table public.migrations (id int)")
    seen = differences(database, shop(), path, include_schemas=True)
    assert sorted(seen) == [("remove_table", "migrations"), ("remove_table", "old")]
    new = shop()
    sa.Table("_private_jobs", new, sa.Column("id", sa.Integer))
    seen = differences(database, new, "public", include_schemas=True)
    assert ("add_table", "_private_jobs") in seen, "a model of the user's is the user's, whatever its name"
    database.execute("create table public._private_jobs (id int)")
    seen = differences(database, new, "public", include_schemas=True)
    assert sorted(seen) == [("remove_table", "migrations"), ("remove_table", "old")]


def test_without_the_filter_it_would_be_dropped(database: Migrator) -> None:
    seen = differences(database, shop(), include_schemas=True, include_object=None)
    assert ("remove_table", "graphile_worker._private_jobs") in seen


def test_our_models_among_the_target_metadata(database: Migrator) -> None:
    assert differences(database, [shop(), WorkerBase.metadata], include_schemas=True) == []


def test_one_schema_for_both(empty: Migrator) -> None:
    empty.execute("create table public.orders (id serial primary key); create table public.old (id int)")
    empty.migrate(lambda op: op.upgrade_job_schema("0002", schema="public"))
    assert differences(empty, shop(), include_schemas=True) == [("remove_table", "old")]
