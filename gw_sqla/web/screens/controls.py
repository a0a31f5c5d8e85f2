"""The filter as controls: what they say of it, and the filter that they make; what they do not have, stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gw_sqla.admin import Choice, JobFilter
from gw_sqla.filters.parse import STATE_WORDS
from gw_sqla.web.visit import Visit

__all__ = ["Controls", "controls_of", "filter_by_controls"]


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands in the controls: states, and texts of one value each; None for what they cannot say."""

    states: frozenset[str]
    task: str | None
    queue: str | None
    key: str | None
    error: str | None


def controls_of(given: JobFilter) -> Controls:
    """Return what the controls show of a filter."""
    return Controls(
        frozenset(map(str, given.states)),
        _one(given.tasks),
        _one(given.queues),
        _one(given.keys),
        next(iter(given.errors)) if len(given.errors) == 1 else ("" if not given.errors else None),
    )


def filter_by_controls(visit: Visit, given: JobFilter) -> JobFilter:
    """Return the filter with what was put into the controls; raises InvalidFilterError for what no job can fit."""
    states = frozenset(state for name in visit.texts("state") for state in STATE_WORDS.get(name, ()))
    shown = controls_of(given)
    changed = replace(given, states=states)
    if shown.task is not None:
        changed = replace(changed, tasks=_choice(visit.text("task")))
    if shown.queue is not None:
        changed = replace(changed, queues=_choice(visit.text("queue")))
    if shown.key is not None:
        changed = replace(changed, keys=_choice(visit.text("key")))
    if shown.error is not None:
        error = visit.text("error")
        changed = replace(changed, errors=frozenset({error}) if error else frozenset())
    return changed


def _choice(value: str | None) -> Choice | None:
    if value is None:
        return None
    return Choice() if value == "*" else Choice(frozenset({value}))


def _one(choice: Choice | None) -> str | None:
    if choice is None:
        return ""
    if choice.is_negated or len(choice.names) > 1:
        return None
    return next(iter(choice.names), "*")
