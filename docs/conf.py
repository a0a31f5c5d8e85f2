"""Sphinx's configuration of the docs site, with MyST for Markdown and Furo to look at.

Sphinx rather than mkdocs-material: the docstrings are its markup; it knows the names of Python, so a reference to one
that is not there is a warning, and a warning is an error here; and Furo loads nothing from anywhere, fonts included,
searches in the browser, also from a folder, and has a dark mode. mkdocs-material is in maintenance, fetches its fonts
and mermaid from others unless told not to, and what follows it, zensical, is at the beginning.

The navigation is in index.md, by folders: a new file in guides/ is in it. The pages stay readable in the repository:
what differs on the site is done in ``docsite``.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from pygments.lexers.special import TextLexer
from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docsite.links import included, relinked, with_pages_only  # noqa: E402 - found by the line above

project = "gw_sqla"
author = "The gw_sqla developers"
project_copyright = author
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["pictures", "**/README.md"]

myst_heading_anchors = 4  # as in the repository
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"gw_sqla {release}"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None


def _as_the_site_has_it(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        text, folder = included(source[0]) or (source[0], page.parent)
        source[0] = with_pages_only(relinked(text, written_in=folder, page=page), page.parent)


def setup(app: Sphinx) -> None:
    """Have pages read as ``docsite`` says, and the blocks shown that Pygments does not know."""
    app.connect("source-read", _as_the_site_has_it)
    for kind in ("crontab", "mermaid"):
        app.add_lexer(kind, TextLexer)
    app.add_lexer("sql", PostgresLexer)
