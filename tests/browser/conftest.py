"""Fixtures for tests in a real browser: Debian's Chromium, driven by Playwright, at pages that Hypercorn serves.

The tests are not async: the browser is, and the server has an event loop of its own (``backend``) in a thread. Where
Playwright is not installed (its group is ``browser``) or there is no Chromium they are skipped, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.browsing import Visit

_IS_MISSING = find_spec("playwright") is None or find_spec("axe_playwright_python") is None


class _Skipped(pytest.Module):
    def collect(self) -> list[pytest.Item]:
        pytest.skip("Playwright is not installed: pip install --group browser", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Import none of these tests where what they import is not there."""
    return _Skipped.from_parent(parent, path=module_path) if _IS_MISSING else None


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that serves the pages."""
    return str(request.param)


@pytest.fixture(scope="module")
def browser(database: str) -> Iterator[Browser]:
    """The browser of a test module, which starts behind its database and ends before it.

    Its driver's loop counts as running in this thread all the while, so there can be no other.
    """
    from tests.browser.browsing import open_browser

    with open_browser() as opened:
        yield opened


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs JavaScript: all that can be done can be done without."""
    return bool(request.param)


@pytest.fixture
def window(browser: Browser, clean_database: str, backend: str, scripts: bool) -> Iterator[Visit]:
    """The dashboard of an empty queue, served on each event loop, with and without scripts."""
    from tests.browser.browsing import visit
    from tests.browser.shop import dashboard
    from tests.support.serving import serve

    with serve(dashboard, clean_database, backend) as base, visit(browser, base, scripts=scripts) as opened:
        yield opened
