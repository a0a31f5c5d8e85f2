"""Processes for the tests, as forks of one that has imported what they need and done nothing else.

A new interpreter takes half a second to import SQLAlchemy, asyncpg and pydantic; a fork has them. There is one such
process for a test process, so what is imported beforehand is listed here.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess

__all__ = ["fork"]

_IMPORTED = ["gw_sqla.cli.worker", "sqlalchemy.dialects.postgresql.asyncpg", "tests.execution.killed_worker", "trio"]


def fork(target: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process that calls a module's function with arguments that can be pickled; the caller waits for it."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(_IMPORTED)
    process = forks.Process(target=target, args=arguments)
    process.start()
    return process
