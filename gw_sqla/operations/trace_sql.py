"""A payload with ``_trace``, in a trigger's SQL: what the session says of the span in which the row changes.

The session says it as W3C's ``traceparent``, in the setting ``gw_sqla.traceparent``, which
`gw_sqla.telemetry.trace_setting` makes. What is not of that form, and an object that has a ``_trace``, changes
nothing: a trace is no reason for an application's transaction to fail. The text of objects is kept as it is, not made
anew by way of jsonb, which refuses some JSON.
"""

from __future__ import annotations

from gw_sqla.statements.quoting import literal

__all__ = ["SETTING", "with_trace_sql"]

SETTING = "gw_sqla.traceparent"
"""Of the session: ``00-<trace id>-<span id>-<flags>``, in lower case; empty or unset where there is none."""

_FORM = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_NUL = literal("\\u0000")  # PostgreSQL's functions for json refuse to read it
_SPACES = literal(" \t\n\r")


def with_trace_sql(payload: str | None) -> str:
    """Return SQL of type json for a payload that is SQL of type json; None is one that the queue stores as ``{}``."""
    body = "pg_catalog.json '{}'" if payload is None else payload
    untraced = "null" if payload is None else "p.payload"
    return f"""(
      select case
        when t.parent !~ '{_FORM}' or pg_catalog.strpos(cast(p.payload as pg_catalog.text), {_NUL}) > 0 then {untraced}
        when pg_catalog.json_typeof(p.payload) = 'array' then (
          select coalesce(pg_catalog.json_agg({_traced("i.item")} order by i.place), p.payload)
          from pg_catalog.json_array_elements(p.payload) with ordinality as i (item, place)
        )
        else {_traced("p.payload")}
      end
      from (select {body} as payload) p
      cross join (select coalesce(pg_catalog.current_setting('{SETTING}', true), '') as parent) t
    )"""


def _traced(item: str) -> str:
    """An item with the trace of ``t.parent``, if it is an object without one."""
    return f"""case
          when pg_catalog.json_typeof({item}) <> 'object' then {item}
          when pg_catalog.json_extract_path({item}, '_trace') is not null then {item}
          else cast(pg_catalog.concat(
            pg_catalog.left(pg_catalog.rtrim(cast({item} as pg_catalog.text), {_SPACES}), -1),
            case when exists (select from pg_catalog.json_object_keys({item})) then ', ' else '' end,
            '"_trace": {{"flags": ',
            cast(cast(pg_catalog.concat('x', pg_catalog.substr(t.parent, 54, 2)) as bit(8)) as integer),
            ', "trace_id": "', pg_catalog.substr(t.parent, 4, 32),
            '", "span_id": "', pg_catalog.substr(t.parent, 37, 16), '"}}}}'
          ) as pg_catalog.json)
        end"""
