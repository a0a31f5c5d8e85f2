"""``main``: runs the command line, and turns whatever it raises into one line and an exit code.

It imports little itself, so that everything big is imported by `gw_sqla.cli.startup_imports`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gw_sqla.cli.commands import group
from gw_sqla.cli.options import Invocation

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with ``arguments`` (default: the program's own) and return the exit code.

    Raises nothing: errors are printed to standard error, in one line, or with their traceback after
    ``--debug``.
    """
    invocation = Invocation(tuple(sys.argv[1:] if arguments is None else arguments))
    try:
        code = group.main(args=arguments, standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except SystemExit as ended:  # click's way when whoever reads our output has enough
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:  # the same, noticed at the last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        from gw_sqla.cli.error_report import report

        return report(error, debug=invocation.debug)
    return code if isinstance(code, int) else 0
