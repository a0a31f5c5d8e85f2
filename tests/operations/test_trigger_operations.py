"""Triggers made by Alembic operations: what any client writes becomes jobs, in that client's transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from gw_sqla.errors import SchemaMissingError
from tests.operations.conftest import WEIRD, Migrator

ORDERS = "create table orders (id int primary key, item text, total int, updated timestamptz)"


@pytest.fixture
def shop(migrated: Migrator) -> Migrator:
    migrated.execute(ORDERS)
    return migrated


def test_insert(shop: Migrator) -> None:
    shop.migrate(
        lambda op: op.create_job_trigger("orders", "process_order", payload={"order_id": "id", "item": "item"})
    )
    shop.execute("insert into orders values (1, 'tea', 3), (2, null, 4); update orders set total = 5")
    assert shop.jobs() == [
        ("process_order", {"order_id": 1, "item": "tea"}),
        ("process_order", {"order_id": 2, "item": None}),
    ]


def test_update_of_columns(shop: Migrator) -> None:
    def create(op: Any) -> None:
        op.create_job_trigger(
            "orders",
            "changed",
            events=["update"],
            update_of=["item"],
            when=sa.text("OLD.item is distinct from NEW.item"),
            payload=sa.text("jsonb_build_object('before', OLD.item, 'after', NEW.item)"),
        )

    shop.migrate(create)
    shop.execute("insert into orders values (1, 'tea', 3); update orders set total = 5; update orders set item = 'tea'")
    assert shop.jobs() == []
    shop.execute("update orders set item = 'coffee'")
    assert shop.jobs() == [("changed", {"after": "coffee", "before": "tea"})]


def test_every_event(shop: Migrator) -> None:
    def create(op: Any) -> None:
        op.create_job_trigger(
            "orders",
            "audit",
            events=["insert", "update", "delete"],
            payload={"id": "id", "event": sa.text("lower(tg_op) -- the event")},
        )

    shop.migrate(create)
    shop.execute("insert into orders values (1); update orders set id = 2; delete from orders")
    assert shop.jobs() == [
        ("audit", {"id": 1, "event": "insert"}),
        ("audit", {"id": 2, "event": "update"}),
        ("audit", {"id": 2, "event": "delete"}),
    ]


def test_deleted_rows(shop: Migrator) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "forget", events=["delete"], payload=["id"]))
    shop.execute("insert into orders values (1); delete from orders")
    assert shop.jobs() == [("forget", {"id": 1})]


def test_without_a_payload(shop: Migrator) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "look"))
    shop.execute("insert into orders values (1)")
    assert shop.jobs() == [("look", {})]


TRACE = {"flags": 1, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}
ITEMS = [{"_trace": TRACE}, 1, {"a": [{}], "_trace": TRACE}, {"_trace": 2}, []]
TRACED = "begin; set local gw_sqla.traceparent = '{}'; insert into orders values (1, 'tea'); commit"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, {"_trace": TRACE}),
        (["item"], {"item": "tea", "_trace": TRACE}),
        (sa.text("'{} '::json"), {"_trace": TRACE}),
        (sa.text("json_build_object('_trace', 'mine')"), {"_trace": "mine"}),
        (sa.text("""'[{}, 1, {"a": [{}]}, {"_trace": 2}, []]'::json"""), ITEMS),
        (sa.text("'[]'::json"), []),
        (sa.text("'7'::json"), 7),
        (sa.text("'{\"n\": 1e999999}'::json"), {"n": float("inf"), "_trace": TRACE}),
        (sa.text(r"""E'{"n": "\\u0000"}'::json"""), {"n": "\0"}),
    ],
    ids=["none", "columns", "empty", "their own", "array", "nothing", "number", "a large number", "NUL"],
)
@pytest.mark.parametrize("options", [{}, {"job_key": "k"}, {"security_definer": True}], ids=["plain", "key", "definer"])
def test_the_span_of_the_session(shop: Migrator, payload: Any, expected: Any, options: dict[str, Any]) -> None:
    """It is in the payload where the session tells of it; else nothing is."""
    shop.migrate(lambda op: op.create_job_trigger("orders", "look", payload=payload, **options))
    shop.execute(TRACED.format(PARENT))
    assert shop.jobs() == [("look", expected)]


def test_without_a_span_the_payload_is_what_it_was(shop: Migrator) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "look", payload=["id"]))
    shop.migrate(lambda op: op.create_job_trigger("orders", "look", payload=sa.text("'[{ },1]'::json"), name="b"))
    shop.execute("insert into orders values (2, 'tea')")
    assert shop.rows("select payload::text from graphile_worker._private_jobs order by id") == [
        ("[{ },1]",),
        ('{"id" : 2}',),
    ]


@pytest.mark.parametrize(
    "parent", ["", "00", PARENT.upper(), PARENT + "-00", PARENT.replace("0", "g"), "'' || 1", PARENT + "\n"]
)
def test_what_is_no_trace_breaks_nothing(shop: Migrator, parent: str) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "look", payload=["id"]))
    shop.execute(TRACED.format(parent.replace("'", "''")))
    assert shop.jobs() == [("look", {"id": 1})]


OPTIONS = "select queue_name, run_at, max_attempts, key, priority, flags from graphile_worker.jobs"


def test_options_as_values(shop: Migrator) -> None:
    """Values are data, whatever they look like."""
    evil = "'); drop table orders; -- $body$ % :x \\"

    def create(op: Any) -> None:
        op.create_job_trigger(
            "orders",
            evil,
            queue_name=evil,
            run_at=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
            max_attempts=3,
            job_key=evil,
            job_key_mode="preserve_run_at",
            priority=-7,
            flags=[evil, "b"],
            payload={evil: "id"},
        )

    shop.migrate(create)
    shop.execute("insert into orders values (1), (2)")
    assert shop.jobs() == [(evil, {evil: 2})], "one job for the key"
    assert shop.rows(OPTIONS) == [
        (evil, datetime(2030, 1, 2, 3, 4, tzinfo=UTC), 3, evil, -7, {evil: True, "b": True}),
    ]
    shop.migrate(lambda op: op.drop_job_trigger("orders", evil))


def test_options_as_sql(shop: Migrator) -> None:
    def create(op: Any) -> None:
        op.create_job_trigger(
            "orders",
            "process_order",
            queue_name=sa.text("'customer ' || NEW.item"),
            run_at=sa.text("NEW.updated + interval '1 day'"),
            max_attempts=sa.text("least(NEW.total, :most)").bindparams(most=9),
            job_key=sa.text("format('order %s\\:\\:%s', NEW.id, tg_table_name)"),
            priority=sa.text("case when NEW.total > 100 then -1 else NEW.total % 5 end"),
            flags=sa.text("array[NEW.item]"),
            payload=sa.text("json_build_object('added_id', (select max(id) as added_id from orders))"),
        )

    shop.migrate(create)
    shop.execute("insert into orders values (1, 'tea', 14, '2030-01-01 00:00+00')")
    assert shop.rows(OPTIONS) == [
        ("customer tea", datetime(2030, 1, 2, tzinfo=UTC), 9, "order 1::orders", 4, {"tea": True}),
    ]
    assert shop.jobs() == [("process_order", {"added_id": 1})]


def test_a_column_named_like_a_variable(shop: Migrator) -> None:
    """The function's own names do not stand in the way of the author's."""
    shop.execute("create table steps (attempt int, added_id int); insert into steps values (7, 8)")
    columns = "(select attempt from steps), (select added_id from steps), (select max(job.attempt) from steps job)"
    query = f"json_build_array({columns})"
    shop.migrate(lambda op: op.create_job_trigger("orders", "a", payload=sa.text(query), job_key="k"))
    shop.execute("insert into orders values (1)")
    assert shop.jobs() == [("a", [7, 8, 7])]


def test_rollback_leaves_no_job(shop: Migrator) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "process_order", payload=["id"]))

    def change(connection: sa.Connection) -> None:
        insert = sa.text("insert into orders values (:id)")
        connection.execute(insert, {"id": 1})
        savepoint = connection.begin_nested()
        connection.execute(insert, {"id": 2})
        savepoint.rollback()

    shop.connected(change)
    assert shop.jobs() == [("process_order", {"id": 1})]
    with pytest.raises(asyncpg.UniqueViolationError):
        shop.execute("begin; insert into orders values (3); insert into orders values (1)")
    assert shop.jobs() == [("process_order", {"id": 1})]


def test_workers_are_notified(shop: Migrator) -> None:
    shop.migrate(lambda op: op.create_job_trigger("orders", "process_order"))

    def heard(connection: sa.Connection) -> list[Any]:
        driver: Any = connection.connection.dbapi_connection
        if shop.driver == "asyncpg":
            pytest.skip("psycopg's way of listening")
        connection.exec_driver_sql('listen "jobs:insert"')
        connection.commit()
        shop.execute("insert into orders values (1)")
        return [note.channel for note in driver.notifies(timeout=30, stop_after=1)]

    assert shop.connected(heard) == ["jobs:insert"]


def test_weird_names_on_both_sides(empty: Migrator) -> None:
    quoted = '"We""ird % :schema \\ $body$"'
    column = 'Co"l % :u \\'

    def create(op: Any) -> None:
        op.upgrade_job_schema("0002", schema=WEIRD)
        op.create_table(WEIRD, sa.Column(column, sa.Integer), schema=f"{WEIRD}2")
        op.create_job_trigger(
            WEIRD,
            WEIRD,
            events=["insert", "update"],
            update_of=[column],
            payload=[column],
            schema=f"{WEIRD}2",
            worker_schema=WEIRD,
        )

    table = f'{quoted[:-1]}2".{quoted}'
    empty.execute(f'create schema {quoted[:-1]}2"')
    empty.migrate(create)
    empty.execute(f'insert into {table} values (1); update {table} set "Co""l % :u \\" = 2')
    assert empty.jobs(quoted) == [(WEIRD, {column: 1}), (WEIRD, {column: 2})]
    empty.migrate(lambda op: op.drop_job_trigger(WEIRD, WEIRD, schema=f"{WEIRD}2"))
    assert empty.rows("select tgname from pg_trigger where not tgisinternal") == []


def test_long_names(shop: Migrator) -> None:
    """Two that differ only beyond PostgreSQL's 63 bytes are two."""
    table, tasks = "t" * 63, ["é" * 60 + end for end in "ab"]
    shop.execute(f"create table {table} (id int)")
    shop.migrate(lambda op: [op.create_job_trigger(table, task) for task in tasks])
    shop.execute(f"insert into {table} values (1)")
    assert sorted(task for task, _ in shop.jobs()) == tasks
    names = shop.rows("select tgname from pg_trigger where not tgisinternal")
    assert len(names) == 2
    shop.migrate(lambda op: [op.drop_job_trigger(table, task) for task in tasks])
    assert shop.rows("select proname from pg_proc where proname like 'gw_sqla%'") == []


def test_names_of_ones_own(shop: Migrator) -> None:
    def create(op: Any) -> None:
        op.create_job_trigger("orders", "a", payload=["id"])
        op.create_job_trigger("orders", "a", payload=["item"], name="second")

    shop.migrate(create)
    shop.execute("insert into orders values (1, 'tea')")
    assert shop.jobs() == [("a", {"id": 1}), ("a", {"item": "tea"})]
    shop.migrate(lambda op: op.drop_job_trigger("orders", "a", name="second"))
    shop.execute("insert into orders values (2, 'tea')")
    assert shop.jobs()[2:] == [("a", {"id": 2})]


def test_missing_worker_schema(shop: Migrator) -> None:
    with pytest.raises(SchemaMissingError, match=r"no Graphile Worker schema .*gw_sqla migrate") as error:
        shop.migrate(lambda op: op.create_job_trigger("orders", "a", worker_schema="else'where"))
    assert error.value.schema == "else'where"
    assert shop.rows("select tgname from pg_trigger where not tgisinternal") == []
