"""The filter that a request names: its text, bounded; not by payloads where these are masked."""

from __future__ import annotations

from gw_sqla.admin import JobFilter
from gw_sqla.errors import InvalidFilterError
from gw_sqla.web.visit import Visit

__all__ = ["LONGEST_FILTER", "filter_of"]

LONGEST_FILTER = 4_000


def filter_of(visit: Visit, text: str | None) -> JobFilter:
    """Return the filter of a text; raises InvalidFilterError.

    A mask would be worth little if one could ask for payloads, value by value.
    """
    if text is not None and len(text) > LONGEST_FILTER:
        raise InvalidFilterError(
            f"{text[:40]}...",
            f"a filter has {LONGEST_FILTER:,} characters at most here, this one {len(text):,}",
        )
    found = JobFilter.parse(text or "")
    if found.payload and visit.options.mask is not None:
        raise InvalidFilterError("payload", "payloads are masked in this dashboard, so it does not search them")
    return found
