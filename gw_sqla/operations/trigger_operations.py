"""``op.create_job_trigger`` and ``op.drop_job_trigger``: a trigger as steps of the user's own migrations.

Each runs in the migration's transaction, online and offline, with any driver; statements reach the driver or the
script as they are, without SQLAlchemy's reading of colons and percent signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from sqlalchemy import TextClause

from gw_sqla.errors import SchemaMissingError
from gw_sqla.operations.job_trigger import JobTrigger, drop_sql, missing_sql
from gw_sqla.operations.sql_expressions import sql
from gw_sqla.statements.quoting import dollar_tag, literal

__all__ = ["CreateJobTriggerOp", "DropJobTriggerOp"]


@Operations.register_operation("create_job_trigger")
class CreateJobTriggerOp(MigrateOperation):
    """Create a trigger that adds jobs; ``trigger`` says which."""

    def __init__(self, trigger: JobTrigger) -> None:
        self.trigger = trigger

    @classmethod
    def create_job_trigger(cls, operations: Operations, table: str, task: str, **options: Any) -> None:
        """Create a trigger on ``table`` that adds a job of ``task``; options: `gw_sqla.operations.JobTrigger`.

        Raises what JobTrigger raises; SchemaMissingError where the worker schema is not there (a script written
        offline raises it too, as SQLSTATE 42883); database errors as they are.
        """
        operations.invoke(cls(JobTrigger(table, task, **options)))

    def reverse(self) -> DropJobTriggerOp:
        """Return the operation that drops it."""
        trigger = self.trigger
        return DropJobTriggerOp(trigger.table, trigger.task, name=trigger.name, schema=trigger.schema, trigger=trigger)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` prints."""
        return ("create_job_trigger", self.trigger)


@Operations.register_operation("drop_job_trigger")
class DropJobTriggerOp(MigrateOperation):
    """Drop a trigger that adds jobs, and its function; ``trigger`` is what `reverse` creates again."""

    def __init__(
        self,
        table: str,
        task: str,
        *,
        name: str | None = None,
        schema: str | None = None,
        trigger: JobTrigger | None = None,
    ) -> None:
        self.table = table
        self.task = task
        self.name = name
        self.schema = schema
        self.trigger = trigger
        self.statements = drop_sql(table, task, name=name, schema=schema)

    @classmethod
    def drop_job_trigger(
        cls, operations: Operations, table: str, task: str, *, name: str | None = None, schema: str | None = None
    ) -> None:
        """Drop what ``create_job_trigger`` with the same arguments created. Jobs that it added stay.

        Raises InvalidJobError for impossible names, and database errors as they are.
        """
        operations.invoke(cls(table, task, name=name, schema=schema))

    def reverse(self) -> CreateJobTriggerOp:
        """Return the operation that creates it again; raises ValueError where nobody has said what it was."""
        if self.trigger is None:
            raise ValueError(
                "cannot reverse drop_job_trigger: it was not given the trigger, so its options are unknown"
            )
        return CreateJobTriggerOp(self.trigger)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` prints."""
        return ("drop_job_trigger", self.table, self.task)


@Operations.implementation_for(CreateJobTriggerOp)
def _create(operations: Operations, operation: CreateJobTriggerOp) -> None:
    _require_add_job(operations, operation.trigger.worker_schema)
    _run(operations, operation.trigger.create_sql())


@Operations.implementation_for(DropJobTriggerOp)
def _drop(operations: Operations, operation: DropJobTriggerOp) -> None:
    _run(operations, operation.statements)


def _run(operations: Operations, statements: list[str]) -> None:
    context = operations.migration_context
    for statement in statements:
        if context.connection is None or context.as_sql:
            context.impl.static_output(f"{statement};")
        else:
            context.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _require_add_job(operations: Operations, schema: str) -> None:
    context = operations.migration_context
    problem = f"there is no Graphile Worker schema {schema!r} in this database"
    hint = "run python -m gw_sqla migrate first, or op.upgrade_job_schema in an earlier revision"
    query = missing_sql(schema)
    if context.connection is None or context.as_sql:
        raises = f"raise exception using errcode = '42883', message = {literal(problem)}, hint = {literal(hint)}"
        body = f"begin\nif (\n{query}\n) then\n  {raises};\nend if;\nend"
        tag = dollar_tag(body)
        context.impl.static_output(f"do {tag}\n{body}\n{tag};")
    elif context.connection.exec_driver_sql(query, execution_options={"no_parameters": True}).scalar_one():
        raise SchemaMissingError(schema, f"{problem}: {hint}")


@renderers.dispatch_for(CreateJobTriggerOp)
def _render_create(context: AutogenContext, operation: CreateJobTriggerOp) -> str:
    trigger = operation.trigger
    options = [
        f"{field.name}={_rendered(context, getattr(trigger, field.name))}"
        for field in fields(trigger)
        if field.kw_only and getattr(trigger, field.name) is not field.default
    ]
    context.imports.add("import gw_sqla.operations")
    arguments = ", ".join([repr(trigger.table), repr(trigger.task), *options])
    return f"{_prefix(context, 'alembic')}create_job_trigger({arguments})"


@renderers.dispatch_for(DropJobTriggerOp)
def _render_drop(context: AutogenContext, operation: DropJobTriggerOp) -> str:
    options = {"name": operation.name, "schema": operation.schema}
    named = [f"{key}={value!r}" for key, value in options.items() if value is not None]
    context.imports.add("import gw_sqla.operations")
    arguments = ", ".join([repr(operation.table), repr(operation.task), *named])
    return f"{_prefix(context, 'alembic')}drop_job_trigger({arguments})"


def _rendered(context: AutogenContext, value: Any) -> str:
    match value:
        case TextClause() if value.compile().params:
            plain = sql("sql", value)[1:-1].replace(":", "\\:")  # its parameters as literals
            return f"{_prefix(context, 'sqlalchemy')}text({plain!r})"
        case TextClause():
            return f"{_prefix(context, 'sqlalchemy')}text({value.text!r})"
        case Mapping():
            return "{" + ", ".join(f"{key!r}: {_rendered(context, item)}" for key, item in value.items()) + "}"
        case StrEnum():
            return repr(value.value)
        case datetime():
            context.imports.add("import datetime")
    return repr(value)


def _prefix(context: AutogenContext, module: str) -> str:
    return str(context.opts.get(f"{module}_module_prefix") or "")
