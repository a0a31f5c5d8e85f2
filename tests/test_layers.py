"""Imports go only downwards: the contracts of ``[tool.importlinter]`` in pyproject.toml."""

from __future__ import annotations

import logging.config
from pathlib import Path

import pytest

importlinter = pytest.importorskip("importlinter.cli", reason="import-linter is not installed (nox -s imports)")


@pytest.fixture
def logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """import-linter configures logging, which disables every logger that is there: for all tests after this one."""
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)


@pytest.mark.usefixtures("logging_is_left_alone")
def test_imports_keep_the_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    broken = importlinter.lint_imports(config_filename=str(pyproject), no_cache=True)
    assert not broken, capsys.readouterr().out
