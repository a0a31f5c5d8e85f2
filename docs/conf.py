"""Sphinx's configuration of the docs site, with MyST for Markdown and Furo to look at.

Sphinx rather than mkdocs-material: the docstrings are its markup, and it knows the names of Python, so that each name
in them is a link where it has a page; what it cannot read in one is a warning, and a warning is an error here. Furo
loads nothing from anywhere, fonts included, searches in the browser, also from a folder, and has a dark mode.
mkdocs-material is in maintenance, fetches its fonts and mermaid from others unless told not to, and what follows it,
zensical, is at the beginning.

The navigation is in index.md, by folders: a new file in guides/ is in it. The pages stay readable in the repository:
what differs on the site is done in ``docsite``.
"""

from __future__ import annotations

import logging
import sys
import tomllib
from pathlib import Path

from pygments.lexers.special import TextLexer
from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docsite.links import included, relinked, with_pages_only  # noqa: E402 - found by the line above
from docsite.reference import write_reference  # noqa: E402

project = "gw_sqla"
author = "The gw_sqla developers"
project_copyright = author
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["pictures", "**/README.md"]
suppress_warnings = ["ref.ref"]  # labels of SQLAlchemy's site, in docstrings that are its own

myst_heading_anchors = 4  # as in the repository
myst_enable_extensions = ["colon_fence"]

default_role = "py:obj"  # `names` in docstrings are links where there is a page for them
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # SQLAlchemy's are written for its own site
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

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


def _write_reference(app: Sphinx) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    write_reference(Path(app.srcdir) / "reference")


def setup(app: Sphinx) -> None:
    """Have pages read as ``docsite`` says, and the blocks shown that Pygments does not know."""
    app.connect("builder-inited", _write_reference)
    app.connect("source-read", _as_the_site_has_it)
    for kind in ("crontab", "mermaid"):
        app.add_lexer(kind, TextLexer)
    app.add_lexer("sql", PostgresLexer)
