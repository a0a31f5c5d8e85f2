"""docs/observing.md has a table of the events: it says what the dataclasses and the methods of Observer are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import gw_sqla
from gw_sqla import Event, Observer
from gw_sqla.hooks.events import METHODS
from gw_sqla.jobs.outcomes import CompletedByHandler, Kept

PAGE = Path(__file__).parents[2] / "docs" / "observing.md"
WITHOUT_TIME = {"Completed", "Failed", "Snoozed", "Returned", "PauseSeen"}

OF_COMPLETED = {CompletedByHandler, Kept}
"""To users each is a Completed."""

_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def test_the_table_says_what_there_is() -> None:
    rows = {name: (method, re.findall(r"`(\w+)`", said)) for name, method, said in _ROW.findall(PAGE.read_text())}
    assert rows.keys() == {kind.__name__ for kind in get_args(Event)}
    for kind, method in METHODS.items():
        if kind in OF_COMPLETED:
            continue
        names = [field.name for field in fields(kind) if field.name != "waited_here"]
        if kind.__name__ not in WITHOUT_TIME:
            names.remove("at")
        assert rows[kind.__name__] == (method, names)
        assert getattr(gw_sqla, kind.__name__) is kind


def test_each_method_of_an_observer_is_told_of_an_event() -> None:
    methods = {name for name in vars(Observer) if not name.startswith("_")}
    assert methods == set(METHODS.values())
    for kind, name in METHODS.items():
        if kind not in OF_COMPLETED:
            assert getattr(Observer, name).__annotations__["event"] == kind.__name__
