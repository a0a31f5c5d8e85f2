"""Every screen in a browser: nothing on the console, nothing that axe finds, in light and dark, wide and narrow.

The pictures in docs/ are taken here: ``GW_SQLA_REWRITE_PICTURES=1 pytest tests/browser/test_screens.py -k pictures``,
or ``nox -s pictures``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import Look, Visit, visit
from tests.browser.shop import open_for_visitors
from tests.support.housekeeper import Housekeeper

PICTURES = Path(__file__).parents[2] / "docs/pictures"
SCREENS = {
    "overview": "/",
    "jobs": "/jobs?filter=state%3Afailed%2Cretrying",
    "failures": "/failures",
    "tasks": "/tasks",
    "task": "/tasks/one?name=ship_order",
    "queues": "/queues",
    "workers": "/workers",
    "crontab": "/crontab",
    "system": "/system",
}
MORE = {
    "bulk": "/jobs/act?action=retry&what=all&filter=state%3Afailed",
    "retrying": "/failures?retrying=1",
    "raw": "/tasks/one?name=ship_order&raw=1",
    "locked": "/queues?locked=1",
    "sweep": "/workers/sweep",
    "audit": "/system/audit",
    "doctor": "/system/doctor",
}


@pytest.fixture(scope="module")
def shop(database: str, housekeeper: Housekeeper, browser: Browser) -> Iterator[str]:
    """The address of the shop's dashboard, which is the same for all tests here: they change nothing."""
    with open_for_visitors(database, "asyncio") as base:
        yield base


def _failed_job(window: Visit) -> str:
    """Return the path of the newest job that has failed."""
    window.goto("/jobs?filter=state%3Afailed&descending=1")
    found = window.page.locator("a.id").first.get_attribute("href")
    assert found is not None
    return f"/{found}"


@pytest.mark.parametrize(("look", "width"), [("light", 1280), ("dark", 1280), ("light", 375)])
def test_screens(browser: Browser, shop: str, look: Look, width: int) -> None:
    with visit(browser, shop, look=look, width=width) as window:
        for path in (*SCREENS.values(), *MORE.values(), _failed_job(window)):
            window.goto(path)
            window.assert_accessible()
            window.assert_fits()


def test_without_javascript(browser: Browser, shop: str) -> None:
    with visit(browser, shop, scripts=False) as window:
        for path in (*SCREENS.values(), *MORE.values(), _failed_job(window)):
            window.goto(path)
            expect(window.page.get_by_role("heading", level=1)).to_be_visible()
            window.assert_fits()


def test_a_way_through_all_screens_by_keyboard_alone(browser: Browser, shop: str) -> None:
    with visit(browser, shop) as window:
        window.goto("/")
        page = window.page
        for title in ("Jobs", "Failures", "Tasks", "Queues", "Workers", "Crontab", "System", "Overview"):
            for _ in range(30):
                page.keyboard.press("Tab")
                focused: str = page.evaluate("document.activeElement.textContent.trim()")
                if focused == title:
                    break
            else:
                pytest.fail(f"Tab does not come to the link {title}")
            outline: str = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"nobody sees that {title} has the focus"
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text(title)
            expect(page.get_by_role("link", name=title, exact=True)).to_have_attribute("aria-current", "page")


def test_times_are_of_the_viewers_zone_and_the_exact_one_is_at_hand(browser: Browser, shop: str) -> None:
    with visit(browser, shop) as window:
        window.goto("/workers")
        time = window.page.locator("time").first
        moment: str = time.evaluate("time => new Date(time.dateTime).toLocaleTimeString('en-GB')")
        expect(time).to_contain_text(moment)
        assert (time.get_attribute("datetime") or "") in (time.get_attribute("title") or "")


def test_pictures(browser: Browser, shop: str) -> None:
    """Each screen has a picture in docs/, which the page there shows."""
    if not os.environ.get("GW_SQLA_REWRITE_PICTURES"):
        taken = {path.name for path in PICTURES.glob("*.png")} - {"grafana.png"}  # of test_grafana_dashboard
        assert taken == {f"{name}.png" for name in (*SCREENS, "job", "dark")}
        assert set(re.findall(r"pictures/(\w+\.png)", (PICTURES.parent / "dashboard.md").read_text())) == taken
        return
    with visit(browser, shop, width=1100, height=640) as window:
        for name, path in (*SCREENS.items(), ("job", _failed_job(window))):
            window.goto(path)
            window.picture(PICTURES / f"{name}.png")
    with visit(browser, shop, width=1100, height=640, look="dark") as window:
        window.goto("/")
        window.picture(PICTURES / "dark.png")
