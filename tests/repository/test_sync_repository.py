"""SyncJobRepository is JobRepository without await: the same methods, parameters, defaults and texts."""

from __future__ import annotations

import inspect

import pytest

from gw_sqla import JobRepository, SyncJobRepository

METHODS = [name for name, _ in inspect.getmembers(JobRepository, inspect.isfunction) if not name.startswith("_")]


def test_its_methods() -> None:
    of_sync = inspect.getmembers(SyncJobRepository, inspect.isfunction)
    assert [name for name, _ in of_sync if not name.startswith("_")] == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method(name: str) -> None:
    ours, theirs = getattr(SyncJobRepository, name), getattr(JobRepository, name)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)
    assert not inspect.iscoroutinefunction(ours)

    def parameters(method: object) -> list[tuple[str, object, object]]:
        assert callable(method)
        given = inspect.signature(method).parameters.values()
        return [(one.name, one.kind, one.default) for one in given]

    assert parameters(ours) == parameters(theirs)
