"""The templates, and how values look in them. Everything is escaped, and a name that is not there is an error."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gw_sqla.web.payloads import flag_names, short_payload
from gw_sqla.web.static_files import version_of

__all__ = ["environment", "timed"]

_MOMENT = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:\+00:00| UTC|Z)(?!\w)", re.ASCII)


def when(moment: datetime | None) -> Markup | str:
    """Return a time: in UTC, and with JavaScript in the viewer's zone, the exact one at hand."""
    if moment is None:
        return "—"
    text = f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.utcoffset() == timedelta(0) else moment.isoformat(" ", "seconds")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), text)


def timed(text: str) -> Markup:
    """Return a sentence with the times in UTC that it names as `when` shows times."""
    parts: list[Markup | str] = []
    end = 0
    for found in _MOMENT.finditer(text):
        try:
            moment = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
        except ValueError:
            continue
        parts += [escape(text[end : found.start()]), when(moment)]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def span(duration: timedelta | None) -> str:
    """Return how long, in the two largest units: ``3 h 12 min``."""
    if duration is None:
        return "—"
    seconds = max(0, round(duration.total_seconds()))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, seconds = divmod(seconds, size)
        if number or (parts and len(parts) < 2) or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])


def size(number: int) -> str:
    """Return a number of bytes, such as ``1.5 MiB``."""
    for unit, bound in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= bound:
            return f"{number / bound:,.1f} {unit}"
    return f"{number} B"


environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters |= {
    "when": when,
    "timed": timed,
    "span": span,
    "seconds": lambda seconds: span(timedelta(seconds=seconds)),
    "bytes": size,
    "short_payload": short_payload,
    "flag_names": flag_names,
}
environment.globals |= {"version_of": version_of}
