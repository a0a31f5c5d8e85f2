"""How values look in templates."""

from __future__ import annotations

import pytest

from gw_sqla.web.templates import timed


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "until 2026-11-28T08:10:18+00:00, by <b>",
            'until <time datetime="2026-11-28T08:10:18+00:00">2026-11-28 08:10:18 UTC</time>, by &lt;b&gt;',
        ),
        (
            "2026-11-28 08:10 UTC",
            '<time datetime="2026-11-28T08:10:00+00:00">2026-11-28 08:10:00 UTC</time>',
        ),
        ("2026-13-28 08:10 UTC & 2026-11-28 08:10", "2026-13-28 08:10 UTC &amp; 2026-11-28 08:10"),
    ],
)
def test_times_in_sentences(text: str, html: str) -> None:
    assert timed(text) == html
