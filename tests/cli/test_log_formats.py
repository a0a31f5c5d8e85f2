"""Formats of log lines: whatever is logged, a line is a line, and can be read back."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from typing import Any

import pytest

from gw_sqla.cli.log_formats import formatter


class Odd:
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError


def record(message: str = "hello", *args: object, **extra: Any) -> logging.LogRecord:
    """A record as loggers make it."""
    return logging.getLogger("some.where").makeRecord(
        "some.where", logging.INFO, "file", 1, message, args, None, None, extra
    )


def test_json_takes_what_has_no_json() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for extra in ({"odd": Odd()}, {"odd": object}, {"odd": {("a", 1): 2}}, {"odd": circle}, {"odd": float("nan")}):
        line = formatter("json", with_process=False).format(record("a\nb", **extra))
        assert "\n" not in line
        assert json.loads(line)["message"] == "a\nb"


def test_logfmt_is_quoted() -> None:
    line = formatter("logfmt", with_process=True).format(record('say "hi"\n=', **{"a b": "", "c": "x=y", "d": Odd()}))
    assert "\n" not in line
    fields = {key: value for key, _, value in (word.partition("=") for word in shlex.split(line))}
    assert (fields["a_b"], fields["c"], fields["level"]) == ("", "x=y", "info")
    assert fields["process"].isdigit()
    assert "whose text cannot be made: ValueError" in fields["d"]


@pytest.mark.parametrize("name", ["text", "json", "logfmt"])
def test_what_others_have_put_into_a_line_forges_none(name: str) -> None:
    """Nor does it act on a terminal, or cannot be written."""
    evil = "failed\n2026-01-01 INFO gw_sqla: forged \x1b[2J\x9b2J\u2028a\x85b\u202e\ud800"
    line = formatter(name, with_process=False).format(record(evil, task_identifier=evil))
    first, *others = line.splitlines()
    assert first
    assert all(other.startswith("    ") for other in others), line
    assert name == "text" or not others
    assert all(character.isprintable() or character == "\n" for character in line), ascii(line)
    assert line.encode()
    if name == "json":
        assert json.loads(line)["message"] == evil


@pytest.mark.parametrize("name", ["json", "logfmt"])
def test_what_was_raised_is_a_field(name: str) -> None:
    one = record()
    try:
        raise ValueError("broken")
    except ValueError:
        one.exc_info = sys.exc_info()
    line = formatter(name, with_process=False).format(one)
    assert "\n" not in line
    assert "ValueError: broken" in line
    assert "traceback" in line


def test_text_names_the_job_of_lines_that_are_not_ours() -> None:
    form = formatter("text", with_process=False)
    assert form.format(record(job_id=5, task_identifier="mail")).endswith("some.where: hello (job 5, mail)")
    assert form.format(record(job_id=None, task_identifier=None)).endswith("some.where: hello")
    ours = record(job_id=5, task_identifier="mail")
    ours.name = "gw_sqla.outcome"
    assert form.format(ours).endswith("gw_sqla.outcome: hello")
