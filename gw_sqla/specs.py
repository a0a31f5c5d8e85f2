"""JobSpecs as what the statements of adding take: one as parameters, many as one JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from gw_sqla.errors import InvalidJobError, InvalidPayloadError
from gw_sqla.job import JobSpec
from gw_sqla.payload import to_json
from gw_sqla.types import JobKeyMode

__all__ = ["spec_to_parameters", "specs_to_json"]


def spec_to_parameters(spec: JobSpec, job_key_mode: JobKeyMode | None) -> dict[str, Any]:
    """Return the parameters of statements.functions.add_job; raises InvalidPayloadError."""
    return {
        "identifier": spec.task_identifier,
        "payload": None if spec.payload is None else to_json(spec.payload),
        "queue_name": spec.queue_name,
        "run_at": spec.run_at,
        "max_attempts": spec.max_attempts,
        "job_key": spec.job_key,
        "priority": spec.priority,
        "flags": None if spec.flags is None else list(spec.flags),
        "job_key_mode": None if job_key_mode is None else job_key_mode.value,
    }


def specs_to_json(specs: Sequence[JobSpec]) -> str:
    """Return a JSON array with the fields of job_spec.

    Raises InvalidJobError, which names the index, for a key that occurs twice (the database's
    SQLSTATE 21000) and InvalidPayloadError for a payload that cannot be stored.
    """
    seen: dict[str, int] = {}
    for index, spec in enumerate(specs):
        if not isinstance(spec, JobSpec):
            raise InvalidJobError("specs", f"specs[{index}] is a {type(spec).__name__}, not a JobSpec")
        if spec.job_key is not None and seen.setdefault(spec.job_key, index) != index:
            raise InvalidJobError(
                "job_key", f"{spec.job_key!r} is in specs[{seen[spec.job_key]}] and specs[{index}]: one job per key"
            )
    try:
        return to_json([_fields(spec) for spec in specs])
    except InvalidPayloadError as error:
        for index, spec in enumerate(specs):
            try:
                to_json(spec.payload)
            except InvalidPayloadError as own:
                raise InvalidPayloadError(f"of specs[{index}] {own.problem}") from error
        raise


def _fields(spec: JobSpec) -> dict[str, Any]:
    fields = {
        "identifier": spec.task_identifier,
        "payload": spec.payload,
        "queue_name": spec.queue_name,
        "run_at": None if spec.run_at is None else spec.run_at.astimezone(UTC).isoformat(),
        "max_attempts": spec.max_attempts,
        "job_key": spec.job_key,
        "priority": spec.priority,
        "flags": None if spec.flags is None else list(spec.flags),
    }
    return {name: value for name, value in fields.items() if value is not None}
