"""Graphile Worker for Node.js, run by the tests: a producer of jobs, and a worker that is watched and steered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

__all__ = ["NodeWorker", "call", "run_once", "start_worker"]

Event = dict[str, Any]

_HERE = Path(__file__).parent
_LONGEST_LINE = 1_000_000
_DEADLINE = 30.0
"""Seconds that anything which must happen may take; nothing waits so long unless it is broken."""


async def call(environment: Mapping[str, str], *calls: Sequence[Any]) -> list[Any]:
    """Call methods of WorkerUtils, each ``[name, *arguments]``, in one Node process; return what they returned."""
    with anyio.fail_after(_DEADLINE):
        ended = await anyio.run_process(
            ["node", str(_HERE / "producer.cjs")],
            input=json.dumps(calls).encode(),
            env=environment,
            stderr=None,
        )
    results: list[Any] = json.loads(ended.stdout)
    return results


class NodeWorker:
    """A running Graphile Worker pool: ``events`` it has printed so far, ``ended`` when that is all."""

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
        """The jobs that were started so far, as Node's handlers see them, with ``queue_name``."""
        return self.named("started")

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; it is tested after each event. Fails when Node ends before."""
        with anyio.fail_after(_DEADLINE):
            while not condition():
                assert not self.ended, f"Node ended early, after {self.events}"
                self._changed = anyio.Event()
                await self._changed.wait()

    def look_again(self) -> None:
        """Test what `until` waits for again: something else than Node has changed."""
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
        with anyio.fail_after(_DEADLINE):
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


@asynccontextmanager
async def start_worker(
    environment: Mapping[str, str], tasks: Mapping[str, str], *, once: bool = False, **options: Any
) -> AsyncIterator[NodeWorker]:
    """Start a pool for the tasks, a behaviour of worker.cjs each; kill it at the end if it was not stopped.

    ``options`` are RunnerOptions: ``pollInterval`` in milliseconds (here an hour unless given), ``concurrency``.
    """
    argument = {"tasks": dict(tasks), "once": once, "options": {"pollInterval": 3_600_000, **options}}
    command = ["node", str(_HERE / "worker.cjs"), json.dumps(argument)]
    async with await anyio.open_process(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
    ) as process:
        worker = NodeWorker(process)
        async with anyio.create_task_group() as watching:
            watching.start_soon(worker.watch)
            try:
                yield worker
            finally:
                if process.returncode is None:
                    process.kill()
                watching.cancel_scope.cancel()


async def run_once(environment: Mapping[str, str], tasks: Mapping[str, str], **options: Any) -> list[Event]:
    """Let Node run what is ready, one job after the other; return the jobs that it started."""
    async with start_worker(environment, tasks, once=True, **options) as worker:
        await worker.wait()
        return worker.started
