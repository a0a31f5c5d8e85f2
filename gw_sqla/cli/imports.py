"""Imports of the command line: a command's modules, and the application's."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType

__all__ = ["import_quickly"]


def import_quickly(name: str) -> ModuleType:
    """Import a module with the garbage collector at rest; raises what the import does.

    Hardly anything that an import makes is garbage, and the collector looks through all of it again and again:
    a tenth of the time in which a worker starts.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if was_enabled:
            gc.enable()
