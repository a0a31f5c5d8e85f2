"""The unit for systemd in docs/guides/deploying.md: its times fit the worker's, and systemd takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gw_sqla import RunnerSettings

PAGE = Path(__file__).parents[2] / "docs/guides/deploying.md"


@pytest.fixture
def unit() -> str:
    found = re.search(r"^```ini\n# gw-sqla-worker.service\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def test_systemd_waits_longer_than_the_worker_needs(unit: str) -> None:
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert stop is not None
    settings = RunnerSettings()
    assert int(stop.group(1)) > (settings.grace_period + settings.flush_timeout).total_seconds()


def test_systemd_takes_it(unit: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze")
    file = tmp_path / "gw-sqla-worker.service"
    file.write_text(unit.replace("/srv/shop/.venv/bin/python", "/bin/sh").replace("User=shop", "User=root"))
    done = subprocess.run([program, "verify", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert "gw-sqla-worker" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
