"""SchemaWatch: notices that a peer has begun a breaking migration, and asks for a stop.

The ledger of its own schema says so, and nothing else: a notification, which any role can send, is a reason to look.
So is a new connection of the listener, for what nobody heard before. Through a pooler in transaction mode nothing can
be heard: then it is looked at every minute. A schema or a right that is gone ends nothing: it may come back.

It looks over a connection of the worker's own, which is given up when it does not answer. By `check_schema`, over the
handlers' pool, a network that fell silent in the middle of a look held up the listener for good, and the stop.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.outage import DATABASE_FAULTS
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import SchemaError, SchemaTooNewError
from gw_sqla.schema.check import require_current
from gw_sqla.schema.state import read_state
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["SchemaWatch"]

log = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=1)


class SchemaWatch:
    """Looks at the worker schema for one pool. ``pooled`` as in `WorkerConnection`."""

    def __init__(self, engine: AsyncEngine, schema: str, stop: StopRequest, *, pooled: bool = False) -> None:
        self._connection = WorkerConnection(engine, settings="", pooled=pooled, isolation_level="READ COMMITTED")
        self._schema = schema
        self._stop = stop

    async def look(self) -> None:
        """Look once. Raises `gw_sqla.database.outage.DATABASE_FAULTS`; a schema that is too new asks for the stop."""
        try:
            require_current(await self._connection.run_sync(partial(read_state, schema=self._schema)))
        except SchemaTooNewError:
            self._stop.request_for_migration()
        except SchemaError as error:  # claims meet it too, and say so
            log.debug("the schema cannot be used now: %s", error_text(error))
        finally:
            await self._connection.close()

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            await anyio.sleep(_INTERVAL.total_seconds())
            try:
                await self.look()
            except DATABASE_FAULTS as fault:  # claims meet it too, and say so
                log.debug("looking at the schema: %s", error_text(fault))
