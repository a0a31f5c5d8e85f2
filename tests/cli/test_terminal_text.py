"""Text for a terminal and for a shell."""

from __future__ import annotations

import subprocess

import pytest

from gw_sqla.cli.terminal_text import counted, printable, printable_lines, shell_word

NAMES = ["charge", "two words", "it's $HOME", r"back\slash", "кириллица", "\x1b[2J", "a'b\\\x07\n", ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_takes_it_for_the_same_word(name: str) -> None:
    word = shell_word(name)
    assert word.isprintable()
    printed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, timeout=60).stdout
    assert printed.decode() == name


def test_a_plain_word_stays_as_it_is() -> None:
    assert shell_word("charge") == "charge"


def test_what_would_act_on_a_terminal() -> None:
    assert printable("a\x1b[2J\r\n\tü\u202e\x9b") == r"a\x1b[2J\r\n\tü\u202e\x9b"
    assert printable_lines("a\x1b[2J\r\n\tü") == "a\\x1b[2J\\r\n\tü"


def test_numbers() -> None:
    assert [counted(number, "job") for number in (0, 1, 2000)] == ["0 jobs", "1 job", "2,000 jobs"]
