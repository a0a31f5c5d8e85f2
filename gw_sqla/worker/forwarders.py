"""Forwarders: all that a worker pool has, one for each sink of its tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from anyio.abc import TaskGroup

from gw_sqla.jobs.run import Run
from gw_sqla.worker.forwarder import Forwarder

__all__ = ["Forwarders"]

log = logging.getLogger(__name__)


class Forwarders:
    """As a context manager: their sinks are open inside it, and closed at its end, whatever ends it."""

    def __init__(self, forwarders: Sequence[Forwarder]) -> None:
        self._forwarders = forwarders

    async def __aenter__(self) -> Self:
        try:
            for forwarder in self._forwarders:
                await forwarder.open()
                log.info("forwarding to %s", forwarder.name)
        except BaseException:
            await self._close_sinks()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close_sinks()

    async def _close_sinks(self) -> None:
        for forwarder in self._forwarders:
            await forwarder.close_sink()

    def start(self, task_group: TaskGroup) -> None:
        """Start them."""
        for forwarder in self._forwarders:
            forwarder.start(task_group)

    def close(self) -> None:
        """Let them end after what they are sending."""
        for forwarder in self._forwarders:
            forwarder.close()

    def running(self) -> list[Run]:
        """The runs that are being sent."""
        return [run for forwarder in self._forwarders for run in forwarder.running()]

    async def wait_until_ended(self) -> None:
        """Wait until all have ended."""
        for forwarder in self._forwarders:
            await forwarder.ended.wait()

    @property
    def have_ended(self) -> bool:
        """Whether all have ended."""
        return all(forwarder.ended.is_set() for forwarder in self._forwarders)
