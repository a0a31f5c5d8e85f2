"""The pages of the command line: what each command's ``--help`` says, and the environment variables of the options.

Variables that are read elsewhere are in ``READ_ELSEWHERE``; a test finds what reads the environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from docsite.markup import code, literal, section, table, title
from gw_sqla.cli.commands import group

__all__ = ["READ_ELSEWHERE", "Command", "commands", "commands_page", "environment_page", "variables"]

READ_ELSEWHERE = {
    "GW_SQLA_WEB_PASSWORD": "The password of the dashboard of ``web``; without it one is made, and printed once.",
    "NO_COLOR": "Not empty: no command colours its output.",
    "PGSERVICEFILE": "The file of ``service=`` in a URL, as libpq has it.",
    "PGSSLMODE": "The mode of TLS where the URL names none, as libpq has it; asyncpg heeds its other variables "
    "(``PGHOST``, ``PGPASSFILE`` and so on) too, where the URL leaves them open.",
}

_MOST_NAMED = 12
"""Of how many commands each is named."""


@dataclass(frozen=True)
class Command:
    """A command, by the words that one types, in the context that its help needs."""

    name: str
    context: click.Context


def commands() -> list[Command]:
    """Return all commands, those of groups after their group."""
    return list(_below(group, click.Context(group, info_name="gw-sqla", terminal_width=100, **group.context_settings)))


def _below(command: click.Command, context: click.Context) -> Iterator[Command]:
    yield Command(context.command_path, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            settings = found.context_settings
            yield from _below(found, click.Context(found, info_name=name, parent=context, **settings))


def commands_page() -> str:
    """Return the page of all commands."""
    parts = [title("Commands", "``python -m gw_sqla`` is the same as ``gw-sqla``. This is what ``--help`` says.")]
    for command in commands():
        parts += [section(command.name), literal(command.context.get_help())]
    return "\n".join(parts)


def variables() -> dict[str, list[tuple[str, str]]]:
    """Return the environment variables of options: for each, which option of which command it gives."""
    found: dict[str, list[tuple[str, str]]] = {}
    for command in commands():
        for option in command.context.command.params:
            names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
            for name in names:
                found.setdefault(name, []).append((option.opts[-1], command.name.removeprefix("gw-sqla").strip()))
    return found


def environment_page() -> str:
    """Return the page of the environment variables."""
    text = "An option on the command line goes before its variable. A flag is on for ``1``, ``true`` or ``yes``."
    rows = []
    for name, uses in sorted(variables().items()):
        options = ", ".join(code(option) for option in dict.fromkeys(option for option, _ in uses))
        where = ", ".join(code(command or "gw-sqla") for _, command in uses)
        rows.append((code(name), options, where if len(uses) <= _MOST_NAMED else f"{len(uses)} commands"))
    others = [(code(name), told) for name, told in READ_ELSEWHERE.items()]
    return "\n".join([
        title("Environment variables", text),
        table(("variable", "is the option", "of the commands"), rows),
        section("Read elsewhere"),
        table(("variable", "what it does"), others),
    ])  # fmt: skip
