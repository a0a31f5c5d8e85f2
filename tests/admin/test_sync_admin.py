"""SyncAdmin is Admin without await: the same methods, parameters, defaults and texts."""

from __future__ import annotations

import inspect

import pytest

from gw_sqla.admin import Admin, SyncAdmin

METHODS = [name for name, _ in inspect.getmembers(Admin, inspect.isfunction) if not name.startswith("_")]


def test_its_methods() -> None:
    of_sync = inspect.getmembers(SyncAdmin, inspect.isfunction)
    assert [name for name, _ in of_sync if not name.startswith("_")] == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method(name: str) -> None:
    ours, theirs = getattr(SyncAdmin, name), getattr(Admin, name)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)
    assert not inspect.iscoroutinefunction(ours)

    def parameters(method: object) -> list[tuple[str, object, object]]:
        assert callable(method)
        return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]

    assert parameters(ours) == parameters(theirs)
