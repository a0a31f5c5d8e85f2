"""RecordingSink: a sink for tests, which keeps what it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from gw_sqla.execution.sink import Message

__all__ = ["RecordingSink"]


class RecordingSink:
    """Confirms each message. ``messages``: all that it was sent, in order.

    For a sink that refuses messages, or is out of reach, override `send` and see `gw_sqla.forwarding.Sink`.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def send(self, messages: Sequence[Message], /) -> Sequence[Exception | None]:
        """Keep them, confirm them."""
        self.messages += messages
        return [None] * len(messages)
