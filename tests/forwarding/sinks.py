"""A sink of the tests' own: keeps what it is given, and does what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from gw_sqla.forwarding import Message

Answer = Callable[[Sequence[Message]], Awaitable[Any]]


class KeptSink:
    """``batches``: what was sent, also without a confirmation. ``answer``: what a send returns or raises."""

    def __init__(self) -> None:
        self.batches: list[list[Message]] = []
        self.opened = 0
        self.closed = 0
        self.open_faults: list[BaseException] = []
        self.answer: Answer = confirm
        self._changed = anyio.Event()

    @property
    def payloads(self) -> list[Any]:
        """The payloads of all that were sent."""
        return [message.job.payload for batch in self.batches for message in batch]

    async def open(self) -> None:
        self.opened += 1
        self._changed.set()
        if self.open_faults:
            raise self.open_faults.pop(0)

    async def close(self) -> None:
        self.closed += 1

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        self.batches.append(list(messages))
        self._changed.set()
        results: Sequence[Exception | None] = await self.answer(messages)
        return results

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until the condition holds; it is tested after each call."""
        with anyio.fail_after(seconds):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()


async def confirm(messages: Sequence[Message]) -> Sequence[None]:
    """Confirm all."""
    return [None] * len(messages)


def once(first: Answer, then: Answer = confirm) -> Answer:
    """Answer so once, and then otherwise."""
    answers = [first]

    async def answer(messages: Sequence[Message]) -> Any:
        return await (answers.pop() if answers else then)(messages)

    return answer


def raising(error: BaseException) -> Answer:
    """Raise at each send."""

    async def answer(_messages: Sequence[Message]) -> Any:
        raise error

    return answer
