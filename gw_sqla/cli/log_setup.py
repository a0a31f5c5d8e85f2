"""The command line's log: to standard error, unless the application configures its own while it is imported.

So it is set up after that import. An application that gives the root logger, or ``gw_sqla``, a handler
(``basicConfig``, ``dictConfig``) has configured it: its handlers, formats and levels stay. Then ``--log-level``, where
it is given, is the level of the loggers below ``gw_sqla`` only, and ``--log-format`` is not heeded, which is said.

``logging.warning(...)`` at import calls ``basicConfig()`` by itself, where nothing is configured: that handler, as bare
as logging makes it, is not taken for a configuration. And a ``dictConfig`` disables all loggers that exist, unless told
otherwise: those of gw_sqla exist since the command line imported them first, and go on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

from gw_sqla.cli.log_formats import formatter
from gw_sqla.execution.current_job import JobLogFilter

__all__ = ["set_up_log"]

log = logging.getLogger(__name__)


def set_up_log(
    level: str, form: str, *, with_process: bool, level_is_given: bool = True, format_is_given: bool = True
) -> None:
    """Set the log up. To be called after the application's import, or where there is none."""
    root, ours = logging.getLogger(), logging.getLogger("gw_sqla")
    if ours.handlers or any(not _is_bare(handler, root) for handler in root.handlers):
        for logger in _our_loggers():
            logger.disabled = False
        if level_is_given:
            ours.setLevel(level.upper())
        if format_is_given:
            log.warning("--log-format is not heeded: the application configures the log by itself")
        return
    for bare in list(root.handlers):
        root.removeHandler(bare)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form, with_process=with_process))
    handler.addFilter(JobLogFilter())
    root.addHandler(handler)
    root.setLevel(level.upper())


def _our_loggers() -> Iterator[logging.Logger]:
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and (name == "gw_sqla" or name.startswith("gw_sqla.")):
            yield logger


def _is_bare(handler: logging.Handler, root: logging.Logger) -> bool:
    """Whether it is as ``logging.warning(...)`` makes it, by itself."""
    form = handler.formatter
    return (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stderr
        and handler.level == logging.NOTSET
        and root.level == logging.WARNING
        and not handler.filters
        and form is not None
        and getattr(form, "_fmt", None) == logging.BASIC_FORMAT
    )
