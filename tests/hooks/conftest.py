"""What the tests of hooks share with those of the worker."""

from __future__ import annotations

from tests.worker.conftest import AddJob, add_job, log, recorder, repo, tasks

__all__ = ["AddJob", "add_job", "log", "recorder", "repo", "tasks"]
