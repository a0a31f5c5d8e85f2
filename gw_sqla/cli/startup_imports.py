"""Imports of the command line: a command's modules, and the application's."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType

__all__ = ["import_to_stay"]


def import_to_stay(name: str) -> ModuleType:
    """Import a module with the garbage collector at rest, and keep what is there out of its sight for good.

    Hardly anything that an import makes is garbage, and the collector looks through all of it again and again: a fifth
    of the time in which a worker starts, and once more whenever it runs later. Raises what the import does.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
