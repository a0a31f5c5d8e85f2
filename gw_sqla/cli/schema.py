"""``schema``: the JSON Schema of every task's payload."""

from __future__ import annotations

import contextlib
import json
import sys

import click

from gw_sqla.cli.application import load_apps
from gw_sqla.cli.options import app_option, debug_option

__all__ = ["command"]


@click.command()
@app_option()
@debug_option
def command(apps: tuple[str, ...]) -> None:
    """Print the JSON Schemas of all payloads.

    For those who add jobs from other languages. The output is one JSON object: task identifier to
    schema. A task without a payload type has {}, which means any JSON.
    """
    with contextlib.redirect_stdout(sys.stderr):  # what the application prints must not end up in the JSON
        tasks = load_apps(apps).tasks
    click.echo(json.dumps(tasks.json_schemas(), indent=2, ensure_ascii=False))
