"""A million jobs: every screen answers, pages go both ways, filters find what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from gw_sqla.admin import JobFilter
from tests.browser.browsing import visit
from tests.browser.shop import dashboard
from tests.browser.test_screens import MORE, SCREENS
from tests.support.housekeeper import Housekeeper
from tests.support.serving import serve

JOBS = 1_000_000
SCHEMA = "graphile_worker"


@pytest.fixture(scope="module")
def base(database: str, housekeeper: Housekeeper, browser: Browser) -> Iterator[str]:
    """A dashboard of a million jobs: of ten tasks, 300 queues; one in 50 has failed, one in 100 will be due."""
    housekeeper.execute(
        f"insert into {SCHEMA}._private_tasks (identifier) select 'task_' || n from generate_series(0, 9) n"
    )
    housekeeper.execute(
        f"insert into {SCHEMA}._private_job_queues (queue_name) select 'queue_' || n from generate_series(1, 300) n"
    )
    housekeeper.execute(
        f"""insert into {SCHEMA}._private_jobs
          (task_id, job_queue_id, payload, priority, run_at, attempts, last_error)
        select (select min(id) from {SCHEMA}._private_tasks) + n % 10, case when n % 4 = 0 then
            (select min(id) from {SCHEMA}._private_job_queues) + n % 300 end,
          json_build_object('order_id', n), n % 3,
          now() + case when n % 100 = 0 then interval '1 day' else interval '-1 second' * (n % 5000) end,
          case when n % 50 = 1 then 25 else 0 end,
          case when n % 50 = 1 then 'Timeout: order ' || n end
        from generate_series(1, {JOBS}) n"""
    )
    housekeeper.execute(f"vacuum analyze {SCHEMA}._private_jobs")
    with serve(dashboard, database, "asyncio") as address:
        yield address


@pytest.mark.timeout(600)
def test_all_screens(browser: Browser, base: str) -> None:
    with visit(browser, base) as window:
        for path in (*SCREENS.values(), *MORE.values()):
            window.goto(path)
            assert "too slow" not in window.text()


@pytest.mark.timeout(600)
def test_pages_both_ways(browser: Browser, base: str) -> None:
    with visit(browser, base) as window:
        page = window.page

        def ids() -> list[int]:
            return [int(text) for text in page.locator("td a.id").all_inner_texts()]

        window.goto("/jobs")
        pages = [ids()]
        for _ in range(3):
            page.get_by_role("link", name=re.compile("^Next")).click()
            expect(page.locator("td a.id").first).not_to_have_text(str(pages[-1][0]))
            pages.append(ids())
        listed = [one for some in pages for one in some]
        assert listed == sorted(listed, reverse=listed[0] > listed[-1])
        assert len(listed) == len(set(listed)) == 4 * len(pages[0])
        for expected in pages[-2::-1]:
            page.get_by_role("link", name=re.compile("Previous")).click()
            expect(page.locator("td a.id").first).to_have_text(str(expected[0]))
            assert ids() == expected


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "text",
    [
        "state:failed task:task_1",
        "state:waiting queue:queue_9",
        "id:999999",
        "state:scheduled priority:2",
        "payload.order_id:999950",
    ],
)
def test_filters(browser: Browser, base: str, text: str) -> None:
    with visit(browser, base) as window:
        window.goto("/jobs")
        box = window.page.get_by_label("Filter: words that a job must fit")
        box.fill(text)
        box.press("Enter")
        expect(window.page).to_have_url(re.compile("filter="))
        expect(window.page.locator("td a.id").first).to_be_visible()
        window.page.reload()
        expect(window.page.get_by_label("Filter: words that a job must fit")).to_have_value(str(JobFilter.parse(text)))
