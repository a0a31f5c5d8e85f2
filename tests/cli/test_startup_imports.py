"""Imports of the command line: out of the garbage collector's sight, which is at work again afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import gc
from gw_sqla.cli.startup_imports import import_to_stay
try:
    import_to_stay({module!r})
except ModuleNotFoundError:
    print("missing", end=" ")
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(("module", "said"), [("wave", "True True"), ("no_such_module", "missing True True")])
def test_what_is_imported_stays(module: str, said: str) -> None:
    """In a process of its own: nothing thaws what is frozen here."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(module=module)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == said
