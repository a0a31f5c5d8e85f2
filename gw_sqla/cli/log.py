"""The log of the commands that work until they are stopped, on standard error.

What would act on a terminal is escaped: a job's error, and what an executable task prints, are other people's text.
"""

from __future__ import annotations

import logging
import sys

from gw_sqla.cli.terminal_text import printable_lines

__all__ = ["start_log"]


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def start_log(level: str, *, several: bool = False) -> None:
    """Log from this level on, unless somebody has set up logging already; ``several``: with the process's number."""
    origin = "[%(process)d] %(name)s" if several else "%(name)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter(f"%(asctime)s %(levelname)-7s {origin}: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
