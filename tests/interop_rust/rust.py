"""Graphile Worker RS, run by the tests: a producer of jobs, and a worker that is watched and steered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from tests.interop.peer_worker import DEADLINE, Event, PeerWorker, open_worker

__all__ = ["call", "run_once", "rust_environment", "start_worker"]


def rust_environment(url: str, schema: str = "graphile_worker") -> dict[str, str]:
    """Return the environment in which the program finds the database."""
    where = make_url(url)
    address = make_conninfo(
        host=str(where.query.get("host") or where.host or ""),
        port=where.port or 5432,
        user=where.username or "",
        password=where.password or "",
        dbname=where.database or "",
    )
    return {**os.environ, "DATABASE_URL": address, "GRAPHILE_WORKER_SCHEMA": schema}


async def call(environment: Mapping[str, str], *calls: Sequence[Any]) -> list[Any]:
    """Let one process migrate and make the calls, each ``[method, *arguments]`` of main.rs; return their results."""
    with anyio.fail_after(DEADLINE):
        ended = await anyio.run_process(
            [environment["GW_SQLA_RUST"], "call"], input=json.dumps(calls).encode(), env=environment, stderr=None
        )
    results: list[Any] = json.loads(ended.stdout)
    return results


def start_worker(
    environment: Mapping[str, str],
    tasks: Sequence[str],
    *,
    once: bool = False,
    concurrency: int = 1,
    poll: int = 50,
    crontab: str | None = None,
    recovery: Mapping[str, int] | None = None,
    flags: Mapping[str, Sequence[str] | None] | None = None,
) -> AbstractAsyncContextManager[PeerWorker]:
    """Start a pool for the tasks of main.rs; kill it at the end if it was not stopped. Times are in milliseconds.

    ``flags``: ``forbidden_flags``, ``accepted_flags``, ``flag_allowlist``.
    """
    options = {
        "tasks": list(tasks),
        "once": once,
        "concurrency": concurrency,
        "poll": poll,
        "crontab": crontab,
        "recovery": recovery and dict(recovery),
        **(flags or {}),
    }
    return open_worker([environment["GW_SQLA_RUST"], "work", json.dumps(options)], environment)


async def run_once(
    environment: Mapping[str, str], tasks: Sequence[str], flags: Mapping[str, Sequence[str] | None] | None = None
) -> list[Event]:
    """Let Rust run what is ready, one job after the other; return the jobs that it started."""
    async with start_worker(environment, tasks, once=True, flags=flags) as worker:
        await worker.wait()
        return worker.named("started")
