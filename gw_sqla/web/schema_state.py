"""Whether this version can show the schema as it is: looked at once in an interval, before anything else."""

from __future__ import annotations

from gw_sqla.errors import SchemaBehindError
from gw_sqla.schema.check import require_current
from gw_sqla.schema.state import read_state
from gw_sqla.web.visit import Visit

__all__ = ["schema_warning"]


async def schema_warning(visit: Visit) -> str | None:
    """Return what to tell of a schema that is older than this version: it can be looked at, but not all of it.

    Raises SchemaMissingError, SchemaTooOldError, SchemaTooNewError and AccessError, each of which says what to do.
    """
    schema = visit.admin.schema
    async with visit.session() as session:
        state = await session.run_sync(lambda plain: read_state(plain.connection(), schema, "reader"))
    try:
        require_current(state)
    except SchemaBehindError as error:
        return f"Not everything can be shown and done: {error}"
    return None
