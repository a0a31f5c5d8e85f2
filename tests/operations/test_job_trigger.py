"""What needs no database: refusals, names, reversal, and how autogenerate writes the operations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import render_python_code
from alembic.operations import MigrateOperation
from alembic.operations.ops import UpgradeOps

from gw_sqla.errors import ConfigurationError, InvalidJobError
from gw_sqla.operations import CreateJobTriggerOp, DropJobTriggerOp, JobTrigger
from gw_sqla.operations.job_trigger import trigger_name
from gw_sqla.types import JobKeyMode


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("table", {"table": ""}),
        ("table", {"table": "t" * 64}),
        ("table", {"table": 7}),
        ("schema", {"schema": "s\0"}),
        ("name", {"name": "é" * 32}),
        ("task_identifier", {"task": ""}),
        ("task_identifier", {"task": "t" * 129}),
        ("events", {"events": []}),
        ("events", {"events": "insert"}),
        ("events", {"events": ["truncate"]}),
        ("events", {"events": ["insert", "insert"]}),
        ("update_of", {"update_of": ["a"]}),
        ("update_of", {"update_of": "email", "events": ["update"]}),
        ("when", {"when": "NEW.a > 1"}),
        ("when", {"when": sa.text("NEW.a > :least")}),
        ("payload", {"payload": "id"}),
        ("payload", {"payload": 7}),
        ("payload", {"payload": [f"c{number}" for number in range(51)]}),
        ("payload", {"payload": {"a": 7}}),
        ("payload", {"payload": {"a": ""}}),
        ("queue_name", {"queue_name": ""}),
        ("queue_name", {"queue_name": sa.column("a")}),
        ("run_at", {"run_at": timedelta(1)}),
        ("run_at", {"run_at": datetime(2030, 1, 1)}),
        ("max_attempts", {"max_attempts": 0}),
        ("job_key", {"job_key": 7}),
        ("job_key_mode", {"job_key_mode": "replace"}),
        ("job_key_mode", {"job_key_mode": "never", "job_key": "k"}),
        ("priority", {"priority": "1"}),
        ("flags", {"flags": "urgent"}),
    ],
)
def test_refusals_name_the_argument(argument: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidJobError) as error:
        JobTrigger(**{"table": "orders", "task": "a", **options})
    assert error.value.argument == argument


def test_impossible_worker_schema() -> None:
    with pytest.raises(ConfigurationError):
        JobTrigger("orders", "a", worker_schema="pg_jobs")


def test_names() -> None:
    assert trigger_name("orders", "send:mail", None) == "gw_sqla_orders_send:mail"
    long = trigger_name("orders", "ü" * 100, None)
    assert re.fullmatch(r"gw_sqla_orders_ü+_[0-9a-f]{10}", long)
    assert len(long.encode()) <= 63
    assert long == trigger_name("orders", "ü" * 100, None)
    assert long != trigger_name("orders", "ü" * 101, None)


def test_reversal() -> None:
    trigger = JobTrigger("orders", "a", name="n", schema="s", payload=["id"])
    drop = CreateJobTriggerOp(trigger).reverse()
    assert (drop.table, drop.task, drop.name, drop.schema) == ("orders", "a", "n", "s")
    assert drop.reverse().trigger is trigger
    with pytest.raises(ValueError, match="cannot reverse"):
        DropJobTriggerOp("orders", "a").reverse()


def test_diffs() -> None:
    trigger = JobTrigger("orders", "a")
    ops = UpgradeOps([CreateJobTriggerOp(trigger), DropJobTriggerOp("orders", "b")])
    assert ops.as_diffs() == [("create_job_trigger", trigger), ("drop_job_trigger", "orders", "b")]


def written(operation: MigrateOperation) -> str:
    code = render_python_code(UpgradeOps([operation])).splitlines()
    return " ".join(line.strip() for line in code if not line.strip().startswith("#"))


TRIGGERS = [
    JobTrigger("orders", "a"),
    JobTrigger("it's", 'an "a"', schema="s", name="n", worker_schema="jobs", security_definer=True),
    JobTrigger("orders", "a", events=["update"], update_of=["x"], when=sa.text("NEW.x \\:\\: int > 1"), payload=["id"]),
    JobTrigger("orders", "a", payload={"id": "id", "x": sa.text("NEW.x::text || :sep").bindparams(sep="a:b")}),
    JobTrigger("orders", "a", job_key="k", job_key_mode=JobKeyMode.UNSAFE_DEDUPE, flags=["f"], priority=0),
    JobTrigger("orders", "a", run_at=datetime(2030, 1, 1, tzinfo=UTC), queue_name=sa.text("NEW.q")),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=range(len(TRIGGERS)))
def test_what_autogenerate_writes_means_the_same(trigger: JobTrigger) -> None:
    """The code is run, with an ``op`` that keeps what it is told."""
    import datetime as dt

    kept: list[JobTrigger] = []

    class Op:
        def create_job_trigger(self, table: str, task: str, **options: Any) -> None:
            kept.append(JobTrigger(table, task, **options))

    code = written(CreateJobTriggerOp(trigger))
    exec(code, {"op": Op(), "sa": sa, "datetime": dt})
    assert kept[0].create_sql() == trigger.create_sql()
    assert code.startswith("op.create_job_trigger(")


def test_what_autogenerate_writes_for_a_drop() -> None:
    assert written(DropJobTriggerOp("orders", "a")) == "op.drop_job_trigger('orders', 'a')"
    drop = DropJobTriggerOp("orders", "a", name="n", schema="s")
    assert written(drop) == "op.drop_job_trigger('orders', 'a', name='n', schema='s')"


def test_op_has_the_operations() -> None:
    for name in ("create_job_trigger", "drop_job_trigger", "upgrade_job_schema", "downgrade_job_schema"):
        assert callable(getattr(op, name))
