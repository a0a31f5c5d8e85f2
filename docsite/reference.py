"""All pages of the reference, written where Sphinx finds them."""

from __future__ import annotations

from pathlib import Path

from docsite.api import module_pages
from docsite.commands import commands_page, environment_page
from docsite.database import database_page
from docsite.errors import errors_page
from docsite.observing import events_page, metrics_page
from docsite.settings import settings_page

__all__ = ["write_reference"]


def write_reference(folder: Path) -> None:
    """Write the pages into a folder; one that says what it said is not touched, and what is no page goes."""
    pages = {
        "settings": settings_page(),
        "commands": commands_page(),
        "environment": environment_page(),
        "errors": errors_page(),
        "events": events_page(),
        "metrics": metrics_page(),
        "database": database_page(),
        **module_pages(),
    }
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
