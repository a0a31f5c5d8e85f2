"""The flags that this interpreter was started with, for another one of the same kind: a handler's process.

The standard library knows them too, under private names only.
"""

from __future__ import annotations

import sys

__all__ = ["interpreter_flags"]

_LETTERS = {
    "bytes_warning": "b",
    "debug": "d",
    "dont_write_bytecode": "B",
    "ignore_environment": "E",
    "no_site": "S",
    "no_user_site": "s",
    "optimize": "O",
    "quiet": "q",
    "verbose": "v",
}


def interpreter_flags() -> list[str]:
    """Return them as arguments. What environment variables set is set by them again."""
    if sys.flags.isolated:
        letters = {name: letter for name, letter in _LETTERS.items() if letter not in "Es"}
        arguments = ["-I"]
    else:
        letters, arguments = _LETTERS, []
    for name, letter in letters.items():
        arguments += [f"-{letter * getattr(sys.flags, name)}"] if getattr(sys.flags, name) else []
    if sys.flags.safe_path and not sys.flags.isolated:
        arguments.append("-P")
    for option in sys.warnoptions:
        arguments.append(f"-W{option}")
    for name, value in sys._xoptions.items():  # documented, in spite of its name
        arguments += ["-X", name if value is True else f"{name}={value}"]
    return arguments
