"""The SQL files of the folder ``alembic/sql/``, for one schema.

They hold PostgreSQL's own text, with ``__schema__`` for the quoted schema name, ``__schema_name__`` for the same as a
string, and ``$body$`` around function bodies, ``$inner$`` around those inside them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from gw_sqla.schema.revision_scripts import scripts_folder
from gw_sqla.statements.quoting import dollar_tag, literal, quoted

__all__ = ["statements"]

_STATEMENT = re.compile(r"(?:\$body\$.*?\$body\$|--[^\n]*|'[^']*'|[^;])++;", re.DOTALL)
_TOKEN = re.compile(r"__schema_name__|__schema__|\$body\$|\$inner\$")


def statements(file: str, schema: str) -> Collection[str]:
    """Read a file of ``sql/`` as single statements for this schema."""
    values = {
        "__schema__": quoted(schema),
        "__schema_name__": literal(schema),
        "$body$": dollar_tag(schema),
        "$inner$": dollar_tag(schema, "inner"),
    }
    text = (scripts_folder() / "sql" / file).read_text(encoding="utf-8")
    return [
        _TOKEN.sub(lambda token: values[token.group()], statement.strip()) for statement in _STATEMENT.findall(text)
    ]
