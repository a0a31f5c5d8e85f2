"""Where a command prints: pipes that close, disks that are full, streams that are closed, locales, terminals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import ROOT, environment, fetch
from tests.cli.on_terminal import on_terminal
from tests.cli.test_jobs import add

GW_SQLA = f"{sys.executable} -m gw_sqla"
EVIL = "update graphile_worker._private_jobs set last_error = e'a\\x1b[31m\\x1b]0;b\\x07', attempts = 25"


def shell(command: str, url: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash; ``gw_sqla`` in it is the command."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("gw_sqla ", f"{GW_SQLA} ", 1)],
        env=environment({"DATABASE_URL": url, **env}),
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", ["jobs list --csv", "stats --watch --json --every 0.1", "migrate"])
def test_a_reader_that_has_enough(database: str, command: str) -> None:
    """Also while the command is connected: that is no fault of the database."""
    done = shell(f"gw_sqla {command} | true", database)
    assert done.stderr == b""
    assert done.returncode in {0, 1}  # as it has ended before it printed, or not


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["stats", "migrate", "pauses --json"])
def test_a_disk_that_is_full(database: str, command: str) -> None:
    done = shell(f"gw_sqla {command} > /dev/full", database)
    assert (done.returncode, done.stderr) == (1, b"Error: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_stream_that_is_closed(database: str, closed: str) -> None:
    done = shell(f"gw_sqla pauses --json {closed}", database)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_locale_that_has_not_every_character(clean_database: str) -> None:
    add(clean_database, "жаба-ü")
    done = shell("gw_sqla jobs list", clean_database, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\\u0436\\u0430\\u0431\\u0430-ü".encode("latin-1") in done.stdout


def test_csv_is_whole_in_a_pipe_and_harmless_on_a_terminal(clean_database: str) -> None:
    add(clean_database, "=1+1")
    fetch(clean_database, EVIL)
    done = shell("gw_sqla jobs list --csv", clean_database)
    assert b",=1+1," in done.stdout
    assert b",a\x1b[31m\x1b]0;b\x07," in done.stdout
    code, shown = on_terminal("-m", "gw_sqla", "jobs", "list", "--csv", "--database-url", clean_database)
    assert code == 0
    assert r",a\x1b[31m\x1b]0;b\x07," in shown
    assert "\x1b" not in shown
