"""What people do, in a browser, on either event loop: the forms, what comes of them, and what refreshes itself."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.browsing import Visit
from tests.support.housekeeper import Housekeeper

JOBS = "graphile_worker._private_jobs"


def only(housekeeper: Housekeeper, sql: str) -> tuple[object, ...]:
    [row] = housekeeper.execute(sql).fetchall()
    return tuple(row)


def test_adding_a_job_by_the_form_of_its_schema(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    window.goto("/tasks/one?name=ship_order")
    page.get_by_label("order_id").fill("7")
    page.get_by_label("street").fill("1 rue des <Lilas>")
    page.get_by_label("city").fill("Lyon")
    page.get_by_label("country").fill("fr")
    page.get_by_label("express").select_option("true")
    window.expected_statuses.add(400)
    page.get_by_role("button", name="Add this job").click()
    expect(page.get_by_role("alert")).to_contain_text("to.country")
    expect(page.get_by_label("street")).to_have_value("1 rue des <Lilas>")
    page.get_by_label("country").fill("FR")
    page.get_by_role("button", name="Add this job").click()
    expect(page.locator("p.said:not(.bad)").filter(has_text="was added")).to_be_visible()
    expect(page.locator("body")).to_contain_text("1 rue des <Lilas>")
    [payload] = only(housekeeper, f"select payload from {JOBS}")
    assert payload == {
        "order_id": 7,
        "to": {"street": "1 rue des <Lilas>", "city": "Lyon", "country": "FR"},
        "express": True,
        "not_before": None,
        "weight_kg": 1.0,
        "labels": [],
    }


def test_pausing_and_resuming(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    housekeeper.execute("select graphile_worker.add_job('a', queue_name := 'q')")
    for path, what in (("/queues", "q"), ("/tasks/one?name=a", "this task"), ("/workers", "everything")):
        window.goto(path)
        page.get_by_text(f"Pause {what}").first.click()
        page.get_by_label("For how long").select_option("60")
        page.get_by_label("Reason, for others").fill("<lunch>")
        page.get_by_role("button", name=f"Pause {what}").click()
        expect(page.locator("p.said:not(.bad)")).to_contain_text("Paused: ")
        expect(page.locator("main")).to_contain_text("<lunch>")
        page.get_by_role("button", name=f"Resume {what}").click()
        expect(page.locator("p.said:not(.bad)")).to_contain_text("Resumed: ")
    assert housekeeper.execute("select * from graphile_worker._private_sqla_pauses").fetchall() == []


def test_retrying_a_group_of_failures(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    housekeeper.execute("select graphile_worker.add_job(t) from unnest(array['a', 'b']) t, generate_series(1, 3)")
    housekeeper.execute(f"update {JOBS} set attempts = 25, last_error = 'Timeout: order ' || id")
    window.goto("/failures")
    page.get_by_role("link", name="Retry group 1: preview").click()
    expect(page.locator("main")).to_contain_text("3")
    page.get_by_role("main").get_by_role("button", name="Retry").click()
    expect(page.locator("main")).to_contain_text("3 jobs were retried")
    found = housekeeper.execute(f"select count(*) from {JOBS} where attempts = 0").fetchall()
    assert found == [(3,)]
    window.goto("/system/audit")
    expect(page.get_by_role("row").nth(1)).to_contain_text("ada")
    expect(page.get_by_role("row").nth(1)).to_contain_text("retry")


def test_all_that_can_be_done_to_a_job(window: Visit, housekeeper: Housekeeper) -> None:
    [job] = only(housekeeper, "select id from graphile_worker.add_job('send_receipt', '{\"order_id\": 1}')")
    page = window.page

    def do(action: str, button: str, said: str, **fields: str) -> None:
        window.goto(f"/jobs/{job}")
        deed = page.locator("details.deed").filter(has=page.get_by_text(action, exact=True))
        if deed.get_attribute("open") is None:
            deed.locator("summary").click()
        for label, value in fields.items():
            deed.get_by_label(label).fill(value)
        deed.get_by_role("button", name=button).click()
        expect(page.locator("p.said")).to_contain_text(said)

    do("Reschedule", f"Reschedule job {job}", "was rescheduled", When="10m", Priority="3")
    do("Fail", f"Fail job {job}", "was failed", Error="no <use>")
    expect(page.locator("#error")).to_have_text("no <use>")
    do("Retry", f"Retry job {job}", "was retried")
    assert only(housekeeper, f"select priority, attempts, last_error from {JOBS}") == (3, 0, "no <use>")
    window.goto(f"/jobs/{job}/edit")
    page.get_by_label("JSON").fill('{"order_id": 2}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator("p.said")).to_contain_text("was edited")
    do("Run a copy of it", "Run a copy of it", "This is the copy.")
    assert only(housekeeper, f"select count(*), count(distinct payload::text) from {JOBS}") == (2, 1)
    window.expected_statuses.add(404)  # of a page that refreshes itself while its job goes
    do("Complete", f"Complete job {job}", "was completed")
    [job] = only(housekeeper, f"select id from {JOBS}")
    do("Remove", f"Remove job {job}", "was removed")
    assert only(housekeeper, f"select count(*) from {JOBS}") == (0,)


def test_running_a_cron_item_now(window: Visit, housekeeper: Housekeeper) -> None:
    window.goto("/crontab")
    window.page.get_by_role("row", name="morning_report").get_by_role("button", name="Run now").click()
    expect(window.page.locator("p.said:not(.bad)")).to_contain_text("of morning_report was added")
    [payload] = only(housekeeper, f"select payload from {JOBS}")
    assert json.loads(json.dumps(payload))["of"] == "stock"


def test_unlocking_and_sweeping(window: Visit, housekeeper: Housekeeper) -> None:
    page = window.page
    housekeeper.execute("select graphile_worker.add_job('a') from generate_series(1, 2)")
    housekeeper.execute(f"update {JOBS} set locked_by = 'node-' || id, locked_at = now() - interval '5 hours'")
    window.goto("/workers")
    page.get_by_role("row", name="node-").first.get_by_role("link").click()
    page.get_by_role("button", name="Unlock 1 jobs and 0 queues").click()
    expect(page.locator("p.said:not(.bad)")).to_contain_text("1 jobs, 0 queues")
    page.get_by_role("link", name="Sweep").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Sweep now").click()
    expect(page.locator("p.said:not(.bad)")).to_contain_text("1 jobs and 0 queues locked for over four hours")
    assert housekeeper.execute(f"select * from {JOBS} where locked_at is not null").fetchall() == []
