"""The overview."""

from __future__ import annotations

import httpx
import pytest

from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def test_states(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute("select {s}.add_job('send_email') from generate_series(1, 3)")
    page = await browser.get("/")
    assert page.status_code == 200
    assert '<span class="number big">3</span> <span>ready</span>' in page.text
