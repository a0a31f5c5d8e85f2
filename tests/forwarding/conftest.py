"""What the tests of forwarding share: a registry, adding jobs, sinks of the tests' own."""

from __future__ import annotations

from tests.worker.conftest import add_job, log, recorder, repo, tasks

__all__ = ["add_job", "log", "recorder", "repo", "tasks"]
