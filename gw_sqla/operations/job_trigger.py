"""What a trigger that adds jobs is, and its SQL; needs no database and no Alembic.

Decisions:

* A str is a value, ``sqlalchemy.text()`` is SQL. Values are quoted here; SQL is put in as it is written, so it comes
  from the author of a migration and from nobody else.
* A row trigger AFTER the event with a function of its own. The function lives in the schema of the table, because it
  is the application's: whoever may create the table may create it, and removing the worker schema leaves no trace of
  a user's objects in it. It calls ``add_job`` by its qualified name, on every change that passes ``when``.
* ``when`` is the trigger's own condition, not an IF inside the function: PostgreSQL then does not even call the
  function for the other rows.
* The job is linked to the span in which the row changes, where the session tells it (`gw_sqla.operations.trace_sql`).
* Columns of a payload come from NEW, for a deleted row from OLD, as expressions and not by a variable: a variable could
  clash with a column in the author's SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import TextClause

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_job_key_mode, check_schema_name, check_storable
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.operations.sql_expressions import (
    MOST_BYTES,
    Event,
    Payload,
    check_identifier,
    payload_sql,
    qualified,
    sql,
    value_sql,
)
from gw_sqla.operations.trace_sql import with_trace_sql
from gw_sqla.statements.quoting import dollar_tag, literal, quoted
from gw_sqla.types import DEFAULT_SCHEMA, JobKeyMode

__all__ = ["JobTrigger", "drop_sql", "missing_sql", "trigger_name"]

_TYPES = {
    "queue_name": "pg_catalog.text",
    "run_at": "timestamp with time zone",
    "max_attempts": "integer",
    "job_key": "pg_catalog.text",
    "priority": "integer",
    "flags": "pg_catalog.text[]",
}


@dataclass(frozen=True)
class JobTrigger:
    """A trigger on a table that adds a job for each row that changes.

    A str or number is a value; SQL is ``sqlalchemy.text(...)``, and may speak of NEW, OLD and ``tg_op``.

    ``table``, ``schema``: the table, unquoted; without schema, what the migration's search path finds. ``task``: the
    task identifier. ``events``: some of ``insert``, ``update``, ``delete``; ``update_of``: only updates that set one
    of these columns, to whatever value. ``when``: SQL, which rows; PostgreSQL allows neither subqueries there, nor OLD
    with ``insert``, nor NEW with ``delete`` (take two triggers then). ``payload``: a list of columns, or a dict of
    field to column or to SQL, or SQL that yields JSON; of a deleted row the old values. ``queue_name``, ``run_at``,
    ``max_attempts``, ``job_key``, ``priority``, ``flags``, ``job_key_mode``: as in `gw_sqla.JobSpec` and
    `gw_sqla.JobRepository.add_job`, each (but the last) a value or SQL. ``name``: of trigger and function; needed for a
    second trigger with the same table and task. ``worker_schema``: where ``add_job`` is.

    ``security_definer``: the function runs with the rights of the role that creates it, which must be able to add jobs;
    roles that change the table then need no rights on the worker schema. Its search path is then ``pg_catalog``:
    qualify what your SQL names. Without it (the default) whoever changes the table must be able to add jobs.

    Raises InvalidJobError, which names the argument, for what PostgreSQL would refuse or cut off, and
    ConfigurationError for an impossible worker schema.
    """

    table: str
    task: str
    _: KW_ONLY
    events: Sequence[Event] = ("insert",)
    update_of: Sequence[str] = ()
    when: TextClause | None = None
    payload: Payload = None
    queue_name: str | TextClause | None = None
    run_at: datetime | TextClause | None = None
    max_attempts: int | TextClause | None = None
    job_key: str | TextClause | None = None
    priority: int | TextClause | None = None
    flags: Sequence[str] | TextClause | None = None
    job_key_mode: JobKeyMode | str | None = None
    name: str | None = None
    schema: str | None = None
    worker_schema: str = DEFAULT_SCHEMA
    security_definer: bool = False

    def __post_init__(self) -> None:
        check_schema_name(self.worker_schema)
        trigger_name(self.table, self.task, self.name)
        if self.schema is not None:
            check_identifier("schema", self.schema)
        self._check_events()
        if self.when is not None:
            sql("when", self.when)
        values = {name: getattr(self, name) for name in _TYPES}
        JobSpec(task_identifier=self.task, **{k: v for k, v in values.items() if not isinstance(v, TextClause)})
        check_job_key_mode(self.job_key_mode, has_key=self.job_key is not None)
        self._arguments()

    def _check_events(self) -> None:
        known = get_args(Event)
        if isinstance(self.events, str) or not self.events or not set(self.events) <= set(known):
            raise InvalidJobError("events", f"must be a list with some of {', '.join(known)}, is {self.events!r}")
        if len(set(self.events)) != len(self.events):
            raise InvalidJobError("events", f"names an event twice: {self.events!r}")
        if isinstance(self.update_of, str):
            raise InvalidJobError("update_of", f"must be a list of columns: write [{self.update_of!r}]")
        for column in self.update_of:
            check_identifier("update_of", column)
        if self.update_of and "update" not in self.events:
            raise InvalidJobError("update_of", "has no effect: add 'update' to events")

    def create_sql(self) -> list[str]:
        """Return the statements that make function and trigger."""
        name = trigger_name(self.table, self.task, self.name)
        function = f"{qualified(self.schema, name)}()"
        body = self._body()
        tag = dollar_tag(body)
        # pg_temp last: else a caller's temporary table could stand in for one that the author's SQL names.
        rights = "security definer\nset search_path = pg_catalog, pg_temp\n" if self.security_definer else ""
        statements = [
            f"create function {function} returns pg_catalog.trigger\nlanguage plpgsql\n{rights}as {tag}\n{body}\n{tag}"
        ]
        if self.security_definer:  # or others could put it on tables of their own, and choose what the jobs say
            statements.append(f"revoke execute on function {function} from public")
        columns = ", ".join(quoted(column) for column in self.update_of)
        events = [f"update of {columns}" if event == "update" and columns else event for event in self.events]
        condition = "" if self.when is None else f"\nwhen {sql('when', self.when)}"
        statements.append(
            f"create trigger {quoted(name)}\nafter {' or '.join(events)} on {qualified(self.schema, self.table)}\n"
            f"for each row{condition}\nexecute function {function}"
        )
        return statements

    def _body(self) -> str:
        arguments = ",\n    ".join(f"{name} => {value}" for name, value in self._arguments().items())
        call = f"{quoted(self.worker_schema)}.add_job(\n    {arguments}\n  )"
        if self.job_key is None:
            return f"begin\n  perform {call};\n  return null;\nend"
        # As JobRepository does: Graphile Worker's own add_job leaves a job out, without an error, when the job that has
        # its key is claimed meanwhile; the second time it takes the key from it.
        problem = literal(f"{self.worker_schema}.add_job added no job of {self.task}: try the transaction again")
        return (
            "#variable_conflict use_column\ndeclare\n  added_id bigint;\nbegin\n  for attempt in 1..3 loop\n"
            f"  select job.id into added_id from {call} as job;\n  exit when added_id is not null;\n  end loop;\n"
            f"  if added_id is null then\n    raise exception using errcode = 'serialization_failure', "
            f"message = {problem};\n  end if;\n  return null;\nend"
        )

    def _arguments(self) -> dict[str, str]:
        """The arguments of add_job, each an SQL expression."""
        arguments = {"identifier": literal(self.task)}
        payload = None if self.payload is None else payload_sql(self.payload, self.events)
        arguments["payload"] = with_trace_sql(payload)
        for name, type_ in _TYPES.items():
            value = getattr(self, name)
            if value is not None:
                arguments[name] = f"cast({value_sql(name, value)} as {type_})"
        if self.job_key_mode is not None:
            arguments["job_key_mode"] = literal(JobKeyMode(self.job_key_mode).value)
        return arguments


def trigger_name(table: str, task: str, name: str | None) -> str:
    """Return the name given, or one made of table and task; a long one ends in a digest of what was cut off.

    Raises InvalidJobError for what cannot be a name.
    """
    check_identifier("table", table)
    check_storable("task", task)
    if name is not None:
        check_identifier("name", name)
        return name
    made = f"gw_sqla_{table}_{task}"
    data = made.encode()
    if len(data) <= MOST_BYTES:
        return made
    digest = hashlib.sha256(data).hexdigest()[:10]
    return f"{data[: MOST_BYTES - 11].decode(errors='ignore')}_{digest}"


def drop_sql(table: str, task: str, *, name: str | None, schema: str | None) -> list[str]:
    """Return the statements that remove trigger and function; raises InvalidJobError for impossible names."""
    name = trigger_name(table, task, name)
    if schema is not None:
        check_identifier("schema", schema)
    return [
        f"drop trigger {quoted(name)} on {qualified(schema, table)}",
        f"drop function {qualified(schema, name)}()",
    ]


def missing_sql(worker_schema: str) -> str:
    """Return the query that tells whether the worker schema lacks ``add_job``; it needs no rights on the schema."""
    return (
        "select not exists (\n  select from pg_catalog.pg_proc as p\n"
        "  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace\n"
        f"  where n.nspname = {literal(worker_schema)} and p.proname = 'add_job'\n)"
    )
