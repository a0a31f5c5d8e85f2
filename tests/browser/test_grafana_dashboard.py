"""The Grafana dashboard that is shipped, fed by a real run, in a real browser; but drawn without Grafana.

Prometheus scrapes the worker of examples/observed_service.py while orders are added; then it is asked what each panel
of examples/observing/grafana.json asks, over the time of the run, and `panels.js` draws the answers with uPlot. That is
not Grafana's own drawing: no Grafana is at hand where this runs. The expressions, titles, units, thresholds and places
are those of the file.

It needs Prometheus, and uPlot's folder in GW_SQLA_UPLOT: ``nox -s pictures`` brings that, and takes the picture in
docs/ anew, of a run of some minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import visit
from tests.examples.support import ROOT, environment
from tests.telemetry.test_http_of_commands import until
from tests.telemetry.test_shipped_files import dashboard
from tests.telemetry.test_with_prometheus import ask, free_port, running

PICTURE = ROOT / "docs/pictures/grafana.png"
IS_TO_BE_TAKEN = bool(os.environ.get("GW_SQLA_REWRITE_PICTURES"))
SECONDS = 90 if IS_TO_BE_TAKEN else 20
STEP = 2
RATE_INTERVAL = "16s"
"""What Grafana would take for $__rate_interval: at least four times the interval of scrapes."""
MAY_BE_EMPTY = {"How late the crontab is", "Oldest ready job by task"}
"""In a short run: no minute begins, no job waits when the queue's figures are read."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.skipif("GW_SQLA_UPLOT" not in os.environ, reason="GW_SQLA_UPLOT names no folder of uPlot's"),
]


def ask_range(port: int, expression: str, end: float) -> list[dict[str, Any]]:
    """Return Prometheus' answer over the time of the run."""
    for name, value in {"$__rate_interval": RATE_INTERVAL, "$job": ".*"}.items():
        expression = expression.replace(name, value)
    asked = {"query": expression, "start": end - SECONDS, "end": end, "step": STEP}
    url = f"http://127.0.0.1:{port}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


def name_of(legend: str, labels: dict[str, str]) -> str:
    """Return the name of a series, as the legend's format says."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip() or "value"


def drawn(panel: dict[str, Any], port: int, end: float) -> dict[str, Any]:
    """Return what `panels.js` takes."""
    times = [end - SECONDS + STEP * number for number in range(SECONDS // STEP + 1)]
    series: list[dict[str, Any]] = []
    for target in panel.get("targets", ()):
        for one in ask_range(port, target["expr"], end):
            values = {round(at - times[0]) // STEP: float(value) for at, value in one["values"]}
            found = [values.get(number) for number in range(len(times))]
            found = [None if value is None or value != value else value for value in found]  # noqa: PLR0124 - not a number
            series.append({"name": name_of(target.get("legendFormat", ""), one["metric"]), "values": found})
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    return {
        "type": panel["type"],
        "title": panel["title"],
        "unit": defaults.get("unit"),
        "steps": defaults.get("thresholds", {}).get("steps", []),
        "place": panel["gridPos"],
        "times": times,
        "series": series,
    }


def add_orders(url: str) -> None:
    """Orders come in waves."""
    end = time.monotonic() + SECONDS
    for count in cycle((30, 100, 300, 600, 150, 20, 0)):
        left = end - time.monotonic()
        if left <= 0:
            return
        program = [sys.executable, str(ROOT / "examples/observed_service.py"), str(count)]
        subprocess.run(program, env=environment(url), check=True, capture_output=True, timeout=180)
        time.sleep(min(7, max(0.0, left)))


def test_the_dashboard_of_a_run(clean_database: str, browser: Browser, tmp_path: Path) -> None:
    target = free_port()
    command = [sys.executable, "-m", "gw_sqla", "worker", "--app", "examples.observed_service:application"]
    options = ["--http", f"127.0.0.1:{target}", "--processes", "2", "--log-level", "error"]
    with subprocess.Popen([*command, *options], env=environment(clean_database), cwd=ROOT) as worker:
        try:
            with running(tmp_path, target) as port:
                until(lambda: ask(port, "up == 1"), 60)
                add_orders(clean_database)
                end = time.time()
                panels = [drawn(panel, port, end) for panel in dashboard()["panels"]]
        finally:
            worker.terminate()
    empty = {panel["title"] for panel in panels if panel["type"] != "row" and not panel["series"]}
    assert empty <= MAY_BE_EMPTY
    folder = Path(os.environ["GW_SQLA_UPLOT"])
    with visit(browser, "about:blank", width=1440, height=1560) as window:
        page = window.page
        page.goto("about:blank")
        page.add_style_tag(path=folder / "dist/uPlot.min.css")
        page.add_script_tag(path=folder / "dist/uPlot.iife.min.js")
        page.evaluate(Path(__file__).with_name("panels.js").read_text(), panels)
        lines = [panel for panel in panels if panel["type"] == "timeseries"]
        assert page.locator("canvas").count() == len(lines)
        assert "no data" not in page.locator("body").inner_text()
        window.page.screenshot(path=tmp_path / "dashboard.png", full_page=True)
        if IS_TO_BE_TAKEN:
            shutil.copy(tmp_path / "dashboard.png", PICTURE)
