"""Roles that may write a table but not the queue: refused by default, let through by security_definer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tests.operations.conftest import Migrator
from tests.schema.roles import Role, temporary_role
from tests.support.server import Server

TABLE = "create table orders (id int); grant insert on orders to {role}"


@pytest.fixture
def clerk(server: Server, migrated: Migrator) -> Iterator[Role]:
    """A role that may insert orders, and nothing else."""
    with temporary_role(server, migrated.url) as role:
        migrated.execute(TABLE.format(role=role.name))
        yield role


def test_by_default_the_writer_must_be_able_to_add_jobs(migrated: Migrator, clerk: Role) -> None:
    migrated.migrate(lambda op: op.create_job_trigger("orders", "process_order"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="graphile_worker"):
        migrated.execute(f"set role {clerk.name}; insert into orders values (1)")
    assert migrated.rows("select id from orders") == []


@pytest.mark.parametrize("job_key", [None, "k"], ids=["plain", "keyed"])
def test_security_definer_needs_no_rights_of_the_writer(migrated: Migrator, clerk: Role, job_key: str | None) -> None:
    def create(op: Any) -> None:
        op.create_job_trigger("orders", "process_order", payload=["id"], security_definer=True, job_key=job_key)

    migrated.migrate(create)
    migrated.execute(f"set role {clerk.name}; insert into orders values (1)")
    assert migrated.jobs() == [("process_order", {"id": 1})]


def test_security_definer_ignores_what_the_writer_puts_in_the_way(migrated: Migrator, clerk: Role) -> None:
    """Neither a search path nor a temporary table of the writer's changes what the SQL of the trigger means."""
    migrated.execute("create table public.prices (price int); insert into public.prices values (3)")

    def create(op: Any) -> None:
        payload = {"price": sa.text("(select price from public.prices)"), "upper": sa.text("upper('a')")}
        op.create_job_trigger("orders", "process_order", payload=payload, security_definer=True)

    migrated.migrate(create)
    migrated.execute(f"create schema trap authorization {clerk.name}")
    migrated.execute(
        f"set role {clerk.name}; create temporary table prices as select 0 as price; "
        "create function trap.upper(text) returns text language sql as $$ select 'trapped' $$; "
        "set search_path = trap, pg_catalog, pg_temp, public; insert into orders values (1)"
    )
    assert migrated.jobs() == [("process_order", {"price": 3, "upper": "A"})]


def test_others_cannot_borrow_the_function(migrated: Migrator, clerk: Role) -> None:
    migrated.migrate(lambda op: op.create_job_trigger("orders", "a", name="adds", security_definer=True))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"permission denied for function .*adds"):
        migrated.execute(
            f"set role {clerk.name}; create temporary table mine (id int); "
            "create trigger t after insert on mine for each row execute function public.adds()"
        )
