"""Acting on many jobs in a browser: those that were chosen and all that fit, each action, with and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Visit
from tests.support.housekeeper import Housekeeper

JOBS = "graphile_worker._private_jobs"

ACTIONS = {
    "Retry": ("was retried", "attempts = 0", {}),
    "Reschedule": ("was rescheduled", "run_at > now() + interval '9 minutes'", {"When": "10m"}),
    "Fail": ("was failed", "attempts = max_attempts and last_error = 'no <use>'", {"Error": "no <use>"}),
    "Complete": ("was completed", None, {}),
    "Remove": ("was removed", None, {}),
}
"""What is said of one job, what is true of it then (None: it is gone), and what is filled in."""


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action(window: Visit, housekeeper: Housekeeper, action: str) -> None:
    said, holds, fields = ACTIONS[action]
    page = window.page
    ids = [housekeeper.execute(f"select id from graphile_worker.add_job('{task}')").fetchall()[0][0] for task in "abbc"]
    housekeeper.execute(f"update {JOBS} set attempts = 1")

    def act(button: str, count: int) -> None:
        page.get_by_label("Act, with a preview first").select_option(label=action)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"{count} job")
        for label, value in fields.items():
            page.get_by_label(label).fill(value)
        page.get_by_role("main").get_by_role("button", name=action).click()
        one = f"1 job {said}" if count == 1 else f"{count} jobs {said.replace('was', 'were')}"
        expect(page.locator("main")).to_contain_text(one)

    def done() -> set[int]:
        if holds is None:
            return set(ids) - {row[0] for row in housekeeper.execute(f"select id from {JOBS}").fetchall()}
        return {row[0] for row in housekeeper.execute(f"select id from {JOBS} where {holds}").fetchall()}

    window.goto("/jobs")
    page.get_by_label(f"Choose job {ids[0]}").check()
    act("with those chosen", 1)
    assert done() == {ids[0]}
    window.goto("/jobs?filter=task:b")
    act("with all that fit", 2)
    assert done() == set(ids[:3])
