"""StopRequest: what has been asked of a worker pool so far. What then ends in which order: `stop_order`."""

from __future__ import annotations

import anyio

__all__ = ["StopRequest"]


class StopRequest:
    """Shared by those who may ask for a stop and those who heed it. Must be made inside the event loop.

    ``requested``: bring no more jobs in; ``is_requested`` is the same, for who looks for each job. ``grace_is_over``:
    cancel those that run. ``for_migration``: the reason is a breaking migration of a peer.
    """

    def __init__(self) -> None:
        self.requested = anyio.Event()
        self.is_requested = False
        self.grace_is_over = anyio.Event()
        self.for_migration = False

    def request(self, *, at_once: bool = False) -> None:
        """Begin a graceful stop; with ``at_once`` its grace period is over too."""
        self.is_requested = True
        self.requested.set()
        if at_once:
            self.grace_is_over.set()

    def request_for_migration(self) -> None:
        """Begin a graceful stop: the schema is about to be what this version does not know."""
        self.for_migration = True
        self.request()
