"""``main``: runs the command line, and turns whatever it raises into one line and an exit code.

It imports little itself, so that everything big is imported by `gw_sqla.cli.startup_imports`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from gw_sqla.cli.commands import group
from gw_sqla.cli.options import Invocation

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with ``arguments`` (default: the program's own) and return the exit code.

    Raises nothing: errors are printed to standard error, in one line, or with their traceback after
    ``--debug``.
    """
    _prepare_streams()
    invocation = Invocation(tuple(sys.argv[1:] if arguments is None else arguments))
    try:
        code = group.main(args=arguments, standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except SystemExit as ended:  # click's way when whoever reads our output has enough
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:  # the same, noticed at the last flush
        _discard_output()
        return 1
    except BaseException as error:
        from gw_sqla.cli.error_report import report

        if isinstance(error, OSError):
            _discard_output()
        return report(error, debug=invocation.debug)
    return code if isinstance(code, int) else 0


def _discard_output() -> None:
    """Let what could not be written go, or Python would try it once more at the end."""
    with suppress(OSError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare_streams() -> None:
    """Let a closed stream be an empty one, and standard output take what its encoding has not, as standard error does.

    A program that has no such character in its locale still shows the rest of a name or an error.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115 - to the end
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
