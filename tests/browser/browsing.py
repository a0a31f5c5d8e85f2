"""Pages of a real browser that a test looks at; what goes wrong inside one is kept, and fails the test at its end.

Such are errors on the console, exceptions nobody caught, and violations of the Content-Security-Policy. Answers with an
error status, which Chromium reports on the console too, are faults unless the test expects that status.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

__all__ = ["Visit", "open_browser", "visit"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LOAD_FAILED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_TELL_VIOLATIONS = """addEventListener('securitypolicyviolation', event => console.error(
  'CSP: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber))"""
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

expect.set_options(timeout=30_000)  # what is shown may be older the longer it took to read: the machine may be busy

Look = Literal["light", "dark"]


def find_chromium() -> str | None:
    """Return where Chromium is: Debian's, or what ``GW_SQLA_CHROMIUM`` names. Playwright's own download is not used."""
    named = os.environ.get("GW_SQLA_CHROMIUM")
    return named or next((found for name in _BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium; skip the test, saying why, where there is none."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or name it in GW_SQLA_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"],
        )
        yield browser
        browser.close()


class Visit:
    """A browser window of its own, at a site; ``page`` is Playwright's."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.context = context
        self.faults: list[str] = []
        self.expected_statuses: set[int] = set()
        self.page = self._watch(context.new_page())

    def goto(self, path: str = "/", status: int = 200) -> Response:
        """Open a page of the site, whose answer has this status."""
        if status >= 400:
            self.expected_statuses.add(status)
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}\n{answer.text()[:2000]}"
        return answer

    def text(self) -> str:
        """Return what a reader sees."""
        return self.page.locator("body").inner_text()

    def assert_accessible(self) -> None:
        """Fail on anything that axe finds."""
        self.page.evaluate(AXE_SCRIPT)
        options = json.dumps({"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": _WCAG}})
        found: Any = self.page.evaluate(f"axe.run(document, {options})")
        lines = [
            f"{one['id']}: {one['help']}\n    " + "\n    ".join(_of_node(node) for node in one["nodes"][:5])
            for one in found["violations"]
        ]
        assert not lines, f"{self.page.url}: axe finds\n" + "\n".join(lines)

    def assert_fits(self) -> None:
        """Fail where the page is wider than the window: it would have to be moved sideways to be read."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the window"

    def picture(self, path: Path) -> None:
        """Keep what is seen as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="disabled")

    def close(self) -> None:
        """Close the window, and fail on what went wrong in it."""
        self.context.close()
        assert not self.faults, "in the browser:\n" + "\n".join(self.faults)

    def _watch(self, page: Page) -> Page:
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        failed = _LOAD_FAILED.search(message.text)
        if failed and int(failed[1]) in self.expected_statuses:
            return
        self.faults.append(f"{message.type}: {message.text} ({message.location.get('url')})")


def _of_node(node: dict[str, Any]) -> str:
    why = [check["message"] for kind in ("any", "all", "none") for check in node[kind]]
    return f"{node['target']}: {node['html'][:200]} {'; '.join(why)[:300]}"


@contextmanager
def visit(
    browser: Browser,
    base: str,
    *,
    scripts: bool = True,
    look: Look = "light",
    width: int = 1280,
    height: int = 800,
    **options: Any,
) -> Iterator[Visit]:
    """Open a window at a site, for the block; ``options`` are those of Playwright's new_context."""
    context = browser.new_context(
        java_script_enabled=scripts,
        color_scheme=look,
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="Europe/Paris",
        **options,
    )
    context.set_default_timeout(20_000)
    if scripts:
        context.add_init_script(_TELL_VIOLATIONS)
    window = Visit(context, base)
    try:
        yield window
    except BaseException:
        if window.faults:
            print("in the browser:\n" + "\n".join(window.faults))  # pytest shows it with the failure
        context.close()
        raise
    window.close()
