"""Pausing: workers of gw_sqla leave a task, a queue or everything alone, until a time or until somebody resumes it.

Jobs stay where they are, and more can be added, by cron too. Workers hear of a pause by a notification when the
caller's transaction commits, and see it at the latest with their next poll; what they have claimed by then, ahead
(``prefetch``) too, they run. Workers of Graphile Worker for Node.js and for Rust know no pauses: stop those.

Two classes, to be used as they are or as parts of others that have a ``schema``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gw_sqla.admin import pauses
from gw_sqla.calls.sessions import AnyAsyncSession, AnySyncSession, call_in_async, call_in_sync
from gw_sqla.calls.texts import with_the_texts_of
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.jobs.pause import Pause
from gw_sqla.jobs.task import Task
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["Pausing", "SyncPausing"]


class Pausing:
    """Pauses and resumes through the caller's AsyncSession (or async_scoped_session).

    Parameter: ``schema``, the worker schema's name, unquoted (default ``graphile_worker``). Raises ConfigurationError
    for an impossible one.

    Every method runs in the transaction that the session is in, and neither commits nor rolls it back; workers see what
    is committed. A cancellation cancels the statement; roll the transaction back then. They raise InvalidJobError for
    bad arguments, before the database is asked; SessionError, SchemaMissingError or AccessError for a session in which
    it cannot be done; and SchemaBehindError where the table of pauses is not there, or for an ``actor`` that of the
    audit.
    """

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        check_schema_name(schema)
        self.schema = schema

    async def pause(
        self,
        session: AnyAsyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        everything: bool = False,
        until: datetime | None = None,
        reason: str | None = None,
        paused_by: str | None = None,
        actor: str | None = None,
    ) -> Pause:
        """Pause one of ``task``, ``queue_name`` and ``everything``; what is paused already has its pause changed.

        It ends at ``until`` (with a time zone), or with `resume`. ``reason`` and ``paused_by``, 1,000 characters at
        most, are for people: workers log them. The task or queue need not be known to anybody yet. ``actor``: who does
        it; a line is then left for `gw_sqla.admin.Admin.list_audit`, and it is ``paused_by``, unless that is given.
        """
        return await call_in_async(
            session,
            lambda plain: pauses.pause(
                plain, self.schema, task, queue_name, everything, until, reason, paused_by, actor
            ),
            of_sync="SyncPausing",
        )

    async def resume(
        self,
        session: AnyAsyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        everything: bool = False,
        actor: str | None = None,
    ) -> list[Pause]:
        """End the pause of a task or queue; with ``everything`` all pauses, those of single tasks and queues too.

        Returns those that are ended by this: none where there was none, or it was over. ``actor`` as for `pause`.
        """
        return await call_in_async(
            session,
            lambda plain: pauses.resume(plain, self.schema, task, queue_name, everything, actor),
            of_sync="SyncPausing",
        )

    async def list_pauses(self, session: AnyAsyncSession) -> list[Pause]:
        """Return what is paused now; in a schema that a peer made, and gw_sqla has not migrated, nothing can be."""
        return await call_in_async(session, lambda plain: pauses.list_pauses(plain, self.schema), of_sync="SyncPausing")


@with_the_texts_of(Pausing)
class SyncPausing:
    """Pauses and resumes through the caller's Session (or scoped_session).

    The same as `gw_sqla.admin.pausing.Pausing`, method by method.
    """

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        check_schema_name(schema)
        self.schema = schema

    def pause(
        self,
        session: AnySyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        everything: bool = False,
        until: datetime | None = None,
        reason: str | None = None,
        paused_by: str | None = None,
        actor: str | None = None,
    ) -> Pause:
        return call_in_sync(
            session,
            lambda plain: pauses.pause(
                plain, self.schema, task, queue_name, everything, until, reason, paused_by, actor
            ),
            of_async="Pausing",
        )

    def resume(
        self,
        session: AnySyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        everything: bool = False,
        actor: str | None = None,
    ) -> list[Pause]:
        return call_in_sync(
            session,
            lambda plain: pauses.resume(plain, self.schema, task, queue_name, everything, actor),
            of_async="Pausing",
        )

    def list_pauses(self, session: AnySyncSession) -> list[Pause]:
        return call_in_sync(session, lambda plain: pauses.list_pauses(plain, self.schema), of_async="Pausing")
