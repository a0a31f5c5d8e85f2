"""What refreshes itself: pages follow the database, nothing jumps while one reads, nobody asks while nobody looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.browser.browsing import Visit, visit
from tests.browser.shop import dashboard
from tests.support.housekeeper import Housekeeper
from tests.support.serving import serve

HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture
def window(browser: Browser, clean_database: str, backend: str) -> Iterator[Visit]:
    with serve(dashboard, clean_database, backend) as base, visit(browser, base) as opened:
        yield opened


def add(housekeeper: Housekeeper, queue: str) -> None:
    housekeeper.execute("select graphile_worker.add_job('a', queue_name := %s)", [queue])


def test_a_page_follows_the_database_and_leaves_alone_what_one_does_there(
    window: Visit, housekeeper: Housekeeper
) -> None:
    page = window.page
    add(housekeeper, "q1")
    window.goto("/queues")
    row = page.get_by_role("row", name="q1")
    expect(row.get_by_role("cell").first).to_have_text("1")
    page.get_by_text("Pause q1").first.click()
    page.get_by_label("Reason, for others").fill("half a rea")
    page.get_by_label("For how long").focus()
    add(housekeeper, "q1")
    expect(row.get_by_role("cell").first).to_have_text("2")
    add(housekeeper, "q2")
    expect(page.get_by_role("row", name="q2")).to_be_visible()
    expect(page.get_by_label("Reason, for others").first).to_be_visible()
    expect(page.get_by_label("Reason, for others").first).to_have_value("half a rea")
    expect(page.get_by_label("For how long").first).to_be_focused()


def test_a_page_in_the_background_asks_for_nothing(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    window.goto("/queues")
    page.on("request", note)
    with page.expect_request("**/queues"):
        pass
    page.evaluate(HIDE, True)
    page.wait_for_timeout(300)  # what was asked by then
    asked.clear()
    page.wait_for_timeout(3000)  # three intervals
    assert asked == []
    with page.expect_request("**/queues"):
        page.evaluate(HIDE, False)


def test_text_that_is_selected_stays(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    add(housekeeper, "q1")
    window.goto("/queues")
    page.get_by_role("heading", level=1).select_text()
    add(housekeeper, "q2")
    page.wait_for_timeout(2500)
    expect(page.get_by_role("row", name="q2")).to_have_count(0)
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.get_by_role("row", name="q2")).to_be_visible()


def test_what_is_in_the_database_stays_text(browser: Browser, clean_database: str, housekeeper: Housekeeper) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    housekeeper.execute(
        "select graphile_worker.add_job(%s, to_json(%s::text), queue_name := %s, job_key := %s, flags := array[%s])",
        [evil] * 5,
    )
    housekeeper.execute("update graphile_worker._private_jobs set attempts = 25, last_error = %s", [evil])
    housekeeper.execute("update graphile_worker._private_job_queues set locked_by = %s, locked_at = now()", [evil])
    housekeeper.execute("insert into graphile_worker._private_known_crontabs values (%s, now())", [evil])
    housekeeper.execute(
        "insert into graphile_worker._private_sqla_pauses (kind, name, reason) values ('task', %s, %s)", [evil] * 2
    )
    with serve(dashboard, clean_database, "asyncio") as base, visit(browser, base) as window:
        window.page.on("dialog", lambda dialog: window.faults.append(f"a dialog: {dialog.message}"))
        window.goto("/jobs")
        job = window.page.locator("a.id").first.get_attribute("href")
        window.goto("/queues")
        worker = window.page.locator("a.id").first.get_attribute("href")
        window.goto("/tasks")
        task = window.page.locator("th.name a").first.get_attribute("href")
        pages = ["/", "/jobs", "/failures", "/tasks", "/queues", "/workers", "/crontab", "/system", "/system/audit"]
        for path in (*pages, f"/{job}", f"/{worker}", f"/{task}"):
            window.goto(path)
            assert window.page.locator("main script, main img").count() == 0, path
            window.assert_fits()
        window.goto("/failures")
        assert evil in window.text()
