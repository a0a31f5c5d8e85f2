"""The built site: it loads nothing from elsewhere, and has all pages, with search, version, pictures and dark mode.

GW_SQLA_SITE is its folder; ``nox -s docs`` builds it. Without it these tests are skipped.
"""

from __future__ import annotations

import os
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docsite.api import public_modules
from docsite.database import FUNCTIONS, TABLES
from docsite.links import ROOT, included

LOADING = {"src", "srcset", "poster", "data"}
"""Attributes of HTML whose addresses a browser loads by itself; a link's ``href`` does so in <link> only."""

_IN_CSS = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)")
_IN_SCRIPT = re.compile(r"(?:import\s*\(?|from|fetch\(|\.src\s*=|\.href\s*=)\s*['\"`](?:https?:)?//[^'\"`]+")


class Found(HTMLParser):
    """What a page loads, where its links go, and what anchors it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in LOADING or (tag == "link" and name == "href")):
                self.loads.append(value)
            elif value and name == "href":
                self.links.append(value)
            elif value and name == "id":
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site() -> Path:
    folder = os.environ.get("GW_SQLA_SITE")
    if not folder:
        pytest.skip("needs the built site: run nox -s docs, or set GW_SQLA_SITE")
    return Path(folder)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Found]:
    return {path: Found(path.read_text("utf-8")) for path in site.rglob("*.html")}


def is_foreign(address: str) -> bool:
    return urlsplit(address).netloc != ""


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Found]) -> None:
    assert pages
    assert [(path, load) for path, found in pages.items() for load in found.loads if is_foreign(load)] == []
    sheets = [*pages, *site.rglob("*.css"), *site.rglob("*.svg")]
    assert [(path, _IN_CSS.findall(text)) for path in sheets if _IN_CSS.search(text := path.read_text("utf-8"))] == []
    scripts = [*pages, *site.rglob("*.js")]
    assert [path for path in scripts if _IN_SCRIPT.search(path.read_text("utf-8"))] == []


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Found]) -> None:
    lost = []
    for path, found in pages.items():
        for address in (*found.links, *found.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            ends_well = there.exists() and (
                not parts.fragment or there not in pages or unquote(parts.fragment) in pages[there].anchors
            )
            if not ends_well:
                lost.append((path.relative_to(site).as_posix(), address))
    assert lost == []


def test_each_page_of_docs_is_in_the_navigation(site: Path, pages: dict[Path, Found]) -> None:
    index = site / "index.html"
    reached = {(site / urlsplit(link).path).resolve() for link in pages[index].links if not is_foreign(link)}
    docs = ROOT / "docs"
    sources = [path for path in docs.rglob("*.md") if path.name != "README.md"]
    for source in sources:
        page = site / source.relative_to(docs).with_suffix(".html")
        assert page.exists()
        assert page == index or page.resolve() in reached, f"docs/index.md has no line for {source.relative_to(docs)}"


def test_each_public_name_has_an_anchor(pages: dict[Path, Found]) -> None:
    anchors = {anchor for found in pages.values() for anchor in found.anchors}
    for module in public_modules():
        names = {f"{module.__name__}.{name}" for name in module.__all__}
        assert names <= anchors


def test_each_picture_is_shown(site: Path, pages: dict[Path, Found]) -> None:
    shown = {load.rpartition("/")[2] for found in pages.values() for load in found.loads}
    assert {path.name for path in (ROOT / "docs/pictures").glob("*.png")} <= shown


def test_search_version_and_dark_mode(site: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    html = (site / "index.html").read_text("utf-8")
    assert f"gw_sqla {version}" in html
    assert "prefers-color-scheme: dark" in "".join(
        path.read_text("utf-8") for path in (site / "_static").rglob("*.css")
    )
    assert 'class="theme-toggle' in html or "theme-toggle" in html
    assert 'role="search"' in html
    index = (site / "searchindex.js").read_text("utf-8")
    assert "transactional-handlers" in index


def test_files_of_the_root_are_pages(site: Path) -> None:
    for page in (ROOT / "docs/project").glob("*.md"):
        if (file := included(page.read_text("utf-8"))) is not None:
            heading = file[0].partition("\n")[0].removeprefix("# ")
            assert f"<h1>{heading}" in (site / "project" / f"{page.stem}.html").read_text("utf-8")


def test_each_table_and_function_is_there(site: Path) -> None:
    """Of the built page, which a PostgreSQL has told; what the schema's tests know must be on it."""
    html = (site / "reference/database.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", html)
    assert [name for name in (*FUNCTIONS, *TABLES) if name not in text] == []
    assert "add_job(identifier text" in text
    assert "identity" in text
