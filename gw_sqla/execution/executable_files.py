"""The executable files of a folder, and the task identifiers that they have, by Graphile Worker's rules.

A file's identifier is its name up to the first dot; folders stand before it, with slashes: ``mail/send.sh`` is
``mail/send``. Names are of letters, digits, ``_`` and ``-``; others are left out with a warning, those that begin with
a dot without one (Graphile Worker leaves both out). A symbolic link to a file is the file; one to a folder is left out.

Where Graphile Worker goes on with a warning, or takes one of two, this is an error that names the file: a file that may
not be executed, two files of one identifier, a link that leads nowhere. A task that is missing in silence shows only
when its jobs lie about.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from gw_sqla.errors import ConfigurationError

__all__ = ["executable_files"]

log = logging.getLogger(__name__)

_FOLDER = re.compile(r"[A-Za-z0-9_-]+")
_FILE = re.compile(r"([A-Za-z0-9_-]+)(?:\.[A-Za-z0-9_-]+)*")


def executable_files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder, and of those in it, by identifier, in order; links are resolved.

    Raises ConfigurationError, which names the file.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise ConfigurationError(f"tasks folder {folder}: {what}")
    found: dict[str, Path] = {}
    names: dict[str, Path] = {}
    for identifier, path in _files(folder, ""):
        if identifier in found:
            raise ConfigurationError(
                f"tasks folder {folder}: {names[identifier]} and {path} are both the task {identifier!r}: rename one"
            )
        found[identifier], names[identifier] = _program(folder, path), path
    if not found:
        raise ConfigurationError(f"tasks folder {folder}: has no executable files")
    return found


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(f"tasks folder {folder}: cannot be read: {error.strerror}") from error
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.is_symlink():
                log.warning("%s is left out: it is a link to a folder", path)
            elif _FOLDER.fullmatch(path.name):
                yield from _files(path, f"{prefix}{path.name}/")
            else:
                _leave_out(path)
        elif match := _FILE.fullmatch(path.name):
            yield f"{prefix}{match[1]}", path
        else:
            _leave_out(path)


def _leave_out(path: Path) -> None:
    log.warning("%s is left out: a task's name is of letters, digits, _ and -", path)


def _program(folder: Path, path: Path) -> Path:
    """Return the file itself; raises ConfigurationError where it cannot be run."""
    try:
        program = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise ConfigurationError(
            f"tasks folder {folder}: {path} is a link that leads nowhere ({path.readlink()}): mend or remove it"
        ) from error
    if not program.is_file():
        raise ConfigurationError(f"tasks folder {folder}: {path} is no file: move it out of the folder")
    if not os.access(program, os.X_OK):
        raise ConfigurationError(
            f"tasks folder {folder}: {path} may not be executed: chmod +x it, or move it out of the folder"
        )
    return program
