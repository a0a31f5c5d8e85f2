"""The formats of the command line's log: text for people, json and logfmt for what collects logs.

The latter have a line for each record, with its ``extra`` fields beside its message and, in ``traceback``, what was
raised. Rejected: a library for either. Each is a page of code for what is here a function, and would be a dependency of
everybody's for an option of the command line; an application that has one configures the log itself.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from gw_sqla.cli.terminal_text import printable_lines

__all__ = ["FORMATS", "formatter"]

FORMATS = ("text", "json", "logfmt")

_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:+@,")

_NOT_PRINTABLE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Of what JSON leaves as it is: controls, ends of lines, what changes the direction of a text, halves of characters."""


def formatter(name: str, *, with_process: bool) -> logging.Formatter:
    """Return one of `FORMATS`; ``with_process``: several processes write to one log."""
    if name == "json":
        return _JsonFormatter(with_process)
    return _LogfmtFormatter(with_process) if name == "logfmt" else _TextFormatter(with_process)


class _TextFormatter(logging.Formatter):
    """A line for people, without what would act on a terminal: errors, and what programs print, are others' text.

    What is not ours says of which job it is, which ours say in their own words.
    """

    def __init__(self, with_process: bool) -> None:
        origin = "[%(process)d] %(name)s" if with_process else "%(name)s"
        super().__init__(f"%(asctime)s %(levelname)-7s {origin}: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and those of what was raised, set in: none of them can pass for another record's."""
        return printable_lines(super().format(record)).replace("\n", "\n    ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add the job to the text of a record."""
        text = super().formatMessage(record)
        job_id = getattr(record, "job_id", None)
        if job_id is None or record.name == "gw_sqla" or record.name.startswith("gw_sqla."):
            return text
        return f"{text} (job {job_id}, {getattr(record, 'task_identifier', None)})"


class _FieldsFormatter(logging.Formatter):
    """What the formats of fields have in common."""

    def __init__(self, with_process: bool) -> None:
        super().__init__()
        self._with_process = with_process

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a record, in their order."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if self._with_process:
            fields["process"] = record.process
        fields["message"] = record.getMessage()
        for name, value in vars(record).items():
            if name not in _OF_EVERY_RECORD and name not in fields and value is not None:
                fields[name] = value
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


class _JsonFormatter(_FieldsFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        fields = self.fields(record)
        try:
            return _json(fields)
        except (TypeError, ValueError):  # keys that are no text, circles
            return _json({name: _text(value) for name, value in fields.items()})


class _LogfmtFormatter(_FieldsFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ``name=value``."""
        return " ".join(f"{_name(name)}={_quoted(_text(value))}" for name, value in self.fields(record).items())


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # of the application's class: no reason for a line to be lost
        return f"({type(value).__name__}, whose text cannot be made: {type(error).__name__})"


def _name(name: str) -> str:
    return "".join(letter if letter in _BARE and letter not in ":,@+" else "_" for letter in name) or "_"


def _quoted(text: str) -> str:
    return text if text and _BARE.issuperset(text) else _json(text)


def _json(value: object) -> str:
    """Return it in one line, whatever is taken for the end of one, and without what would act on a terminal."""
    return _NOT_PRINTABLE.sub(_escape, json.dumps(value, ensure_ascii=False, allow_nan=False, default=_text))


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
