"""A worker of another kind in a process of its own, watched by the events that it prints and steered by words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

__all__ = ["DEADLINE", "Event", "PeerWorker", "open_worker"]

Event = dict[str, Any]

DEADLINE = 30.0
"""Seconds that anything which must happen may take; nothing waits so long unless it is broken."""
_LONGEST_LINE = 1_000_000


class PeerWorker:
    """A running pool of a peer's: ``events`` it has printed so far, ``ended`` when that is all."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._changed = anyio.Event()
        self.ended = False
        self.events: list[Event] = []

    def named(self, name: str) -> list[Event]:
        """Return the events of this name so far."""
        return [event for event in self.events if event["event"] == name]

    @property
    def started(self) -> list[Event]:
        """The jobs that were started so far, as the peer's handlers see them."""
        return self.named("started")

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; it is tested after each event. Fails when the peer ends before."""
        with anyio.fail_after(DEADLINE):
            while not condition():
                assert not self.ended, f"the peer ended early, after {self.events}"
                self._changed = anyio.Event()
                await self._changed.wait()

    def look_again(self) -> None:
        """Test what `until` waits for again: something else than the peer has changed."""
        self._changed.set()

    async def idle(self) -> None:
        """Wait until it listens and all of its workers have looked for jobs in vain."""
        await self.until(lambda: self.events and self.events[-1]["event"] == "idle")

    async def go(self) -> None:
        """Let the longest waiting job, or the next that waits, end."""
        await self._say(b"go\n")

    async def stop(self) -> None:
        """Stop the pool gracefully; what it has to write about its jobs is then written."""
        await self._say(b"stop\n")
        await self.wait()

    async def wait(self) -> None:
        """Wait until the process has ended well and all of its events are here."""
        with anyio.fail_after(DEADLINE):
            assert await self._process.wait() == 0
            while not self.ended:
                self._changed = anyio.Event()
                await self._changed.wait()

    async def watch(self) -> None:
        """Collect events until the process closes its output."""
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        try:
            while True:
                self.events.append(json.loads(await lines.receive_until(b"\n", _LONGEST_LINE)))
                self._changed.set()
        except (anyio.IncompleteRead, anyio.EndOfStream):
            self.ended = True
            self._changed.set()

    async def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send(line)

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        self._process.kill()


@asynccontextmanager
async def open_worker(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[PeerWorker]:
    """Start the process; kill it at the end if it was not stopped."""
    async with await anyio.open_process(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
    ) as process:
        worker = PeerWorker(process)
        async with anyio.create_task_group() as watching:
            watching.start_soon(worker.watch)
            try:
                yield worker
            finally:
                if process.returncode is None:
                    process.kill()
                watching.cancel_scope.cancel()
