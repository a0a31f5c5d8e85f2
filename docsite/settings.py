"""The page of the settings: the fields of `gw_sqla.RunnerSettings`, their defaults, the options of ``worker``."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import timedelta

from docsite.commands import commands
from docsite.markup import code, table, title
from gw_sqla import RunnerSettings

__all__ = ["settings_page"]


def settings_page() -> str:
    """Return the page; the text of each setting is on that of `gw_sqla`."""
    (worker,) = [command for command in commands() if command.name == "gw-sqla worker"]
    options = {option.name: option for option in worker.context.command.params}
    rows = []
    for field in fields(RunnerSettings):
        option = options.get(field.name)
        given = code(max(option.opts, key=len)) if option is not None else ""
        variable = code(option.envvar) if option is not None and option.envvar else ""
        rows.append((f":py:attr:`~gw_sqla.RunnerSettings.{field.name}`", _shown(field.default), given, variable))
    text = "What each is for, when to change it, and what that may cost: follow its link. Durations are ``timedelta``."
    return title("Settings of a worker", text) + table(("setting", "default", "option", "variable"), rows)


def _shown(default: object) -> str:
    if default is MISSING:
        return "none"
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g} s"
    return code(default if not isinstance(default, str) else repr(default))
