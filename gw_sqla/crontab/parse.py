"""A crontab's text to cron items: every fault of every line at once, each with line, column and fix."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gw_sqla.crontab.fields import read_fields
from gw_sqla.crontab.findings import Findings
from gw_sqla.crontab.item import CronItem, check_option
from gw_sqla.crontab.options import read_options
from gw_sqla.errors import ConfigurationError, CrontabError, CrontabProblem, InvalidJobError

__all__ = ["CrontabReading", "parse_crontab", "read_crontab", "read_text", "scan_crontab"]

_TASK = re.compile(r"[_a-zA-Z][_a-zA-Z0-9:/-]*")


@dataclass(frozen=True, slots=True)
class CrontabReading:
    """What a text says: the items of its sound lines, and its faults and warnings in order."""

    items: list[CronItem]
    problems: list[CrontabProblem]

    @property
    def errors(self) -> list[CrontabProblem]:
        """The problems for which the crontab must not be used."""
        return [problem for problem in self.problems if not problem.is_warning]


def parse_crontab(text: str, source: str = "crontab") -> list[CronItem]:
    """Return the items of a crontab; ``source`` is what errors call it.

    The grammar is Graphile Worker's, and what gw_sqla adds to it. Raises CrontabError, which has all faults.
    """
    reading = scan_crontab(text)
    if reading.errors:
        raise CrontabError(source, reading.errors)
    return reading.items


def read_crontab(path: str | os.PathLike[str]) -> list[CronItem]:
    """Return the items of a crontab file in UTF-8; raises ConfigurationError if it cannot be read, CrontabError."""
    return parse_crontab(read_text(path), str(path))


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a crontab file; raises ConfigurationError."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(f"crontab {path}: there is no such file") from error
    except OSError as error:
        raise ConfigurationError(f"crontab {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"crontab {path}: is not UTF-8: {error.reason} at byte {error.start}") from error


def scan_crontab(text: str) -> CrontabReading:
    """Read a crontab, its faulty lines too. Raises nothing."""
    findings = Findings()
    items: list[CronItem] = []
    taken: dict[str, int] = {}
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        findings.line = number
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _read_line(line, findings)
        if item is None:
            continue
        if taken.setdefault(item.identifier, number) != number:
            findings.error(
                len(line) - len(line.lstrip()) + 1,
                f"the identifier {item.identifier!r} is that of line {taken[item.identifier]} too: "
                "give one of them another by ?id=NAME",
            )
        items.append(item)
    return CrontabReading(items, sorted(findings.problems))


def _read_line(line: str, findings: Findings) -> CronItem | None:
    before = len(findings.errors)
    words = [(match.start() + 1, match.group()) for match in re.finditer(r"\S+", line)]
    count = 1 if words[0][1].startswith("@") else 5
    if len(words) <= count:
        findings.error(words[0][0], f"a line is five fields and a task, such as 0 4 * * * clean_up: {line.strip()!r}")
        return None
    read = read_fields(words[:count], findings)
    arguments = _read_command(line, words[count:], findings)
    if read is None or len(findings.errors) > before:
        return None
    try:
        item = CronItem(schedule=" ".join(word for _, word in words[:count]), **arguments)
    except ConfigurationError as error:  # what no single option is to blame for
        findings.error(words[count][0], str(error))
        return None
    if next(item.fires(datetime.now(UTC)), None) is None:
        findings.warn(words[0][0], "this never fires: no such day is in these months")
    return item


def _read_command(line: str, words: Sequence[tuple[int, str]], findings: Findings) -> dict[str, Any]:
    """The arguments of CronItem but its schedule: task, options and payload."""
    (column, task), *rest = words
    arguments: dict[str, Any] = {"task": task}
    if not _TASK.fullmatch(task):
        findings.error(column, f"the task {task!r} must be letters, digits, _ : / and -, beginning with a letter or _")
    else:
        _check("task", task, column, findings)
    if rest and rest[0][1].startswith("?"):
        column, options = rest.pop(0)
        if options == "?":
            findings.error(column, "no options follow the question mark: remove it")
        arguments |= read_options(options[1:], column, findings)
    if rest:
        column = rest[0][0]
        arguments["payload"] = _read_payload(line[column - 1 :].rstrip(), column, findings)
    return arguments


def _read_payload(text: str, column: int, findings: Findings) -> Any:
    if not text.startswith("{"):
        findings.error(column, f"{text.split(maxsplit=1)[0]!r} is neither ?options nor a {{payload}}: remove it")
        return None
    try:
        payload = _loads(text)
    except RecursionError:
        findings.error(column, "the payload is nested too deeply")
        return None
    except ValueError as error:  # json5 says "<string>:1 what is wrong at column 3"
        reason, _, at = str(error).removeprefix("<string>:1 ").partition(" at column ")
        findings.error(column + int(at or 1) - 1, f"the payload is not a JSON5 object on one line: {reason}")
        return None
    return _check("payload", payload, column, findings)


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # what is JSON5 only; the parser for that is slow
        import json5

        return json5.loads(text)


def _check(field: str, value: Any, column: int, findings: Findings) -> Any:
    try:
        return check_option(field, value)
    except InvalidJobError as error:
        findings.error(column, f"the {field} {error.problem}")
        return None
