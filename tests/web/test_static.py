"""What the package serves of its own, and what others have written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from gw_sqla.web.static_files import STATIC

VENDOR = STATIC / "vendor"
KNOWN = json.loads((VENDOR / "vendored.json").read_text())


def test_what_npm_had_is_what_is_here() -> None:
    """``nox -s vendor`` brings it, with its licence; nobody has changed it since."""
    named = {"vendored.json"}
    for package in KNOWN.values():
        for file in package["files"].values():
            named.add(file["as"])
            assert hashlib.sha256((VENDOR / file["as"]).read_bytes()).hexdigest() == file["sha256"]
        assert any("LICENSE" in path for path in package["files"])
        assert package["integrity"].startswith("sha512-")
    assert {path.name for path in VENDOR.iterdir()} == named


@pytest.mark.parametrize("path", sorted(path for kind in ("js", "css") for path in STATIC.rglob(f"*.{kind}")))
def test_nothing_is_asked_of_other_hosts(path: Path) -> None:
    """And nothing that the Content-Security-Policy forbids."""
    text = path.read_text()
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)
    assert "eval(" not in text
    assert "new Function" not in text
    assert "@import" not in text
    assert "innerHTML =" not in text


@pytest.mark.anyio
async def test_they_are_kept_for_a_year_by_their_version(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    for link in re.findall(r'(?:href|src)="(static/[^"]+\.(?:css|js)[^"]*)"', page):
        assert re.search(r"\?v=[0-9a-f]{12}$", link), link
        file = await browser.get(f"/{link}")
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
    assert 'lang="en"' in page
