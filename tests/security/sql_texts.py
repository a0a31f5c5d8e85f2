"""All SQL that gw_sqla runs, as text, by where it comes from; of the schema's functions what the revisions leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

import sqlalchemy as sa

from gw_sqla.database import lost_backends, worker_connection
from gw_sqla.operations.job_trigger import JobTrigger, drop_sql, missing_sql
from gw_sqla.operations.sql_expressions import Event
from gw_sqla.schema import lock_watch, migration_lock, migration_path, role_check, state
from gw_sqla.schema.grants import grants
from gw_sqla.schema.migration_lock import lock_sql
from gw_sqla.schema.revision_scripts import scripts_folder
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.sql_files import statements
from gw_sqla.types import DEFAULT_SCHEMA
from tests.statements.snapshot import DIALECT
from tests.statements.test_snapshots import BUILDERS

__all__ = ["HOLDERS", "QUALIFIED_SINCE", "function_names", "texts", "triggers"]

HOLDERS = frozenset(
    {
        "admin/bounded.py",  # savepoints
        "calls/savepoint.py",
        "calls/adding.py",  # savepoints
        "cli/quickstart.py",  # a program of its own, in a database of its own
        "database/lost_backends.py",
        "execution/completion_watch.py",  # a constant
        "operations/trigger_operations.py",
        "schema/grants.py",
        "schema/lock_watch.py",
        "schema/migration_lock.py",
        "schema/revision_runner.py",
        "schema/role_check.py",
        "schema/state.py",
        "statements/quoting.py",
        "testing/borrowed_connection.py",  # savepoints
    }
)
"""The modules of gw_sqla that make or run SQL which is text."""

QUALIFIED_SINCE = "0007"
"""Older revisions name little with its schema, and never change: the path of migrations covers what they make."""

_FUNCTION = re.compile(r"create (?:or replace )?function \S*?\.(\w+)\(.*?(\$body\$|\$inner\$).*?\2;", re.DOTALL)


@cache
def texts() -> dict[str, str]:
    """Return the texts, which hold quoted names and no comments of ours."""
    found = {f"statement {name}": _compiled(build(DEFAULT_SCHEMA)) for name, build in BUILDERS.items()}
    for module in (state, role_check, lock_watch, migration_lock, lost_backends):
        for name, value in vars(module).items():
            if isinstance(value, sa.TextClause):
                found[f"{module.__name__}.{name}"] = _compiled(value)
    found["own_backend"] = _compiled(lost_backends.own_backend())
    found["end_backends"] = _compiled(lost_backends.end_backends())
    found["settings"] = worker_connection.SESSION_SETTINGS
    found["lock"] = lock_sql(DEFAULT_SCHEMA)
    found["path"] = f"{migration_path.SET};\n{migration_path.PUT_BACK}"
    for kind in get_args(RoleKind):
        found[f"grants {kind}"] = "\n".join(grants("some role", as_=kind))
    for name, trigger in triggers().items():
        found[f"trigger {name}"] = ";\n".join(trigger.create_sql())
    found["no trigger"] = ";\n".join([*drop_sql("orders", "t", name=None, schema=None), missing_sql(DEFAULT_SCHEMA)])
    return found | dict(_files())


def triggers() -> dict[str, JobTrigger]:
    """Return triggers that have everything: each value as a value, and as SQL."""
    events: list[Event] = ["insert", "update", "delete"]
    run_at = datetime(2040, 1, 1, tzinfo=UTC)
    sql: dict[str, Any] = {
        name: sa.text(f"new.{name}")
        for name in ("queue_name", "run_at", "max_attempts", "job_key", "priority", "flags")
    }
    return {
        "values": JobTrigger(
            "orders", "process", events=events, update_of=["note"], payload=["id", "note"], queue_name="q",
            run_at=run_at, max_attempts=3, job_key="k", priority=1, flags=["a", "b"], job_key_mode="replace",
            schema="shop",
        ),
        "sql": JobTrigger(
            "orders", "process", payload={"id": "id", "more": sa.text("new.note")},
            when=sa.text("new.note is not null"), schema="shop", name="by_sql", **sql,
        ),
        "definer": JobTrigger(
            "orders", "definer", payload=sa.text("pg_catalog.to_json(new)"), schema="shop", security_definer=True
        ),
    }  # fmt: skip


def function_names() -> set[str]:
    """Return the names that are called as functions somewhere, and whatever else a bracket follows."""
    return {name for text in texts().values() for name in re.findall(r"([a-z_]\w*)\s*\(", text)}


def _compiled(clause: Any) -> str:
    return str(clause.compile(dialect=DIALECT))


def _files() -> Iterator[tuple[str, str]]:
    functions: dict[str, str] = {}
    for path in sorted((scripts_folder() / "sql").glob("*.sql")):
        revision = path.name.split("_")[0]
        if revision.isdigit() and "downgrade" in path.name:
            continue
        if not revision.isdigit() or revision >= QUALIFIED_SINCE:
            yield path.name, "\n".join(statements(path.name, DEFAULT_SCHEMA))
        for function in _FUNCTION.finditer(path.read_text(encoding="utf-8")):
            functions[function[1]] = function[0]
    for name, text in functions.items():
        yield f"function {name}", text
