"""Graphile Worker for Node.js, run by the tests: a producer of jobs, and a worker that is watched and steered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio

from tests.interop.peer_worker import DEADLINE, Event, PeerWorker, open_worker

__all__ = ["call", "run_once", "start_worker"]

_HERE = Path(__file__).parent


async def call(environment: Mapping[str, str], *calls: Sequence[Any]) -> list[Any]:
    """Call methods of WorkerUtils, each ``[name, *arguments]``, in one Node process; return what they returned."""
    with anyio.fail_after(DEADLINE):
        ended = await anyio.run_process(
            ["node", str(_HERE / "producer.cjs")],
            input=json.dumps(calls).encode(),
            env=environment,
            stderr=None,
        )
    results: list[Any] = json.loads(ended.stdout)
    return results


def start_worker(
    environment: Mapping[str, str], tasks: Mapping[str, str], *, once: bool = False, **options: Any
) -> AbstractAsyncContextManager[PeerWorker]:
    """Start a pool for the tasks, a behaviour of worker.cjs each; kill it at the end if it was not stopped.

    ``options`` are RunnerOptions: ``pollInterval`` in milliseconds (here an hour unless given), ``concurrency``.
    """
    argument = {"tasks": dict(tasks), "once": once, "options": {"pollInterval": 3_600_000, **options}}
    return open_worker(["node", str(_HERE / "worker.cjs"), json.dumps(argument)], environment)


async def run_once(environment: Mapping[str, str], tasks: Mapping[str, str], **options: Any) -> list[Event]:
    """Let Node run what is ready, one job after the other; return the jobs that it started."""
    async with start_worker(environment, tasks, once=True, **options) as worker:
        await worker.wait()
        return worker.started
