"""Statements as readable text, one file for each builder and schema, under ``snapshots/``.

After an intended change: ``GW_SQLA_REWRITE_SNAPSHOTS=1 pytest tests/statements/test_snapshots.py`` writes them anew;
then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.base import Executable

from gw_sqla.models import schema_option

DIALECT: Dialect = URL.create("postgresql+asyncpg").get_dialect()()
FOLDER = Path(__file__).parent / "snapshots"
REWRITE = bool(os.environ.get("GW_SQLA_REWRITE_SNAPSHOTS"))


def compiled(statement: Executable, schema: str) -> str:
    """Return the SQL that the driver is given, with the names of its parameters above it."""
    result = statement.compile(  # type: ignore[attr-defined] # each of ours has it, SQLAlchemy's base type does not
        dialect=DIALECT, render_schema_translate=True, **schema_option(schema)
    )
    names = [f"-- ${number} {name}" for number, name in enumerate(result.positiontup or (), 1)]
    lines = [line.rstrip() for line in str(result).strip().splitlines()]
    return "\n".join([*names, *lines]) + "\n"


def check(name: str, text: str) -> None:
    """Compare the text with its snapshot, or write it when that is asked for."""
    file = FOLDER / f"{name}.sql"
    if REWRITE:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.exists(), f"no snapshot {file.name} yet: see tests/statements/snapshot.py"
    assert text == file.read_text(encoding="utf-8")
