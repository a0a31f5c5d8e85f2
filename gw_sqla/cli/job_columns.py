"""A job as a row of a table, as an object for programs, and with all that there is to know of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf

import click

from gw_sqla.cli.listing import Column, as_record, utc_text
from gw_sqla.cli.terminal_text import printable
from gw_sqla.jobs.stored_job import JobDetails, ListedJob
from gw_sqla.types import JobState

__all__ = ["JOB_COLUMNS", "print_job"]

_COLORS = {JobState.FAILED: "red", JobState.RETRYING: "yellow", JobState.LOCKED: "green", JobState.READY: "cyan"}


def _first_line(job: JobDetails) -> str | None:
    return job.last_error.strip().partition("\n")[0] if job.last_error else None


def _finite(text: str) -> float:
    number = float(text)
    if number in (inf, -inf):
        raise ValueError("no JSON has it")
    return number


def _payload(job: JobDetails) -> object:
    """Return the payload; its text where Python cannot parse it, None where a list did not read it."""
    if isinstance(job, ListedJob) and not job.has_payload:
        return None
    try:
        return json.loads(job.payload_text, parse_float=_finite)
    except (ValueError, RecursionError):
        return job.payload_text


JOB_COLUMNS: Sequence[Column[JobDetails]] = [
    Column("id", lambda job: job.id, right=True),
    Column("state", lambda job: job.state, color=lambda job: _COLORS.get(job.state)),
    Column("task_identifier", lambda job: job.task_identifier, cuts=True),
    Column("queue_name", lambda job: job.queue_name, cuts=True),
    Column("priority", lambda job: job.priority, right=True),
    Column("run_at", lambda job: job.run_at, lambda job: utc_text(job.run_at)),
    Column("attempts", lambda job: job.attempts, lambda job: f"{job.attempts}/{job.max_attempts}", right=True),
    Column("max_attempts", lambda job: job.max_attempts, in_table=False),
    Column("last_error", lambda job: job.last_error, _first_line, cuts=True),
    Column("key", lambda job: job.key, in_table=False),
    Column("locked_by", lambda job: job.locked_by, in_table=False),
    Column("locked_at", lambda job: job.locked_at, in_table=False),
    Column("flags", lambda job: frozenset(job.flags or ()), in_table=False),
    Column("created_at", lambda job: job.created_at, in_table=False),
    Column("updated_at", lambda job: job.updated_at, in_table=False),
    Column("revision", lambda job: job.revision, in_table=False),
    Column("payload", _payload, in_table=False),
]


def print_job(job: JobDetails) -> None:
    """Print all of a job for people, an error with all its lines."""
    record = as_record(job, JOB_COLUMNS)
    error, payload = record.pop("last_error"), record.pop("payload")
    for name, value in record.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if name == "state":
            click.echo(f"{name:<16} {click.style(job.state, fg=_COLORS.get(job.state))}")
        else:
            click.echo(f"{name:<16} {'-' if shown in (None, '') else printable(str(shown))}")
    text = payload if isinstance(payload, str) and payload == job.payload_text else json.dumps(payload, indent=2)
    for name, lines in (("payload", text), ("last_error", str(error) if error is not None else "-")):
        first, *rest = lines.splitlines() or [""]
        click.echo(f"{name:<16} {printable(first)}")
        for line in rest:
            click.echo(f"{'':<16} {printable(line)}")
