"""JobSpecs as what the statements of adding take: one as parameters, many as a JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from gw_sqla.errors import InvalidJobError, InvalidPayloadError
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import check_payload_size
from gw_sqla.types import JobKeyMode

__all__ = ["spec_to_parameters", "specs_to_json"]


def spec_to_parameters(spec: JobSpec, job_key_mode: JobKeyMode | None, max_payload_size: int | None) -> dict[str, Any]:
    """Return the parameters of `gw_sqla.statements.schema_functions.add_job`; raises InvalidPayloadError."""
    payload = None if spec.payload is None else to_json(spec.payload)
    if payload is not None:
        check_payload_size(payload, max_payload_size)
    return {
        "identifier": spec.task_identifier,
        "payload": payload,
        "queue_name": spec.queue_name,
        "run_at": spec.run_at,
        "max_attempts": spec.max_attempts,
        "job_key": spec.job_key,
        "priority": spec.priority,
        "flags": None if spec.flags is None else list(spec.flags),
        "job_key_mode": None if job_key_mode is None else job_key_mode.value,
    }


def specs_to_json(
    specs: Sequence[JobSpec],
    first: int = 0,
    seen: dict[str, int] | None = None,
    max_payload_size: int | None = None,
) -> str:
    """Return a JSON array with the fields of job_spec.

    ``first`` is the index of the first spec, ``seen`` the index of each key so far. Raises
    InvalidJobError, which names the index, for a key that occurs twice (the database's SQLSTATE 21000)
    and InvalidPayloadError for a payload that cannot be stored, or has more than ``max_payload_size`` bytes.
    """
    seen = {} if seen is None else seen
    for index, spec in enumerate(specs, first):
        if not isinstance(spec, JobSpec):
            raise InvalidJobError("specs", f"specs[{index}] is a {type(spec).__name__}, not a JobSpec")
        if spec.job_key is not None and seen.setdefault(spec.job_key, index) != index:
            raise InvalidJobError(
                "job_key", f"{spec.job_key!r} is in specs[{seen[spec.job_key]}] and specs[{index}]: one job per key"
            )
    try:
        text = to_json([_fields(spec) for spec in specs])
    except InvalidPayloadError:
        _check_each(specs, first, None)
        raise
    if max_payload_size is not None and len(text) * 4 > max_payload_size:
        _check_each(specs, first, max_payload_size)
    return text


def _check_each(specs: Sequence[JobSpec], first: int, max_payload_size: int | None) -> None:
    """Raise InvalidPayloadError for the first payload that cannot be stored."""
    for index, spec in enumerate(specs, first):
        try:
            check_payload_size(to_json(spec.payload), max_payload_size)
        except InvalidPayloadError as error:
            raise InvalidPayloadError(f"of specs[{index}] {error.problem}") from error


def _fields(spec: JobSpec) -> dict[str, Any]:
    """The fields that are not None: job_spec has null for the others. Written out, as it runs for every job."""
    fields: dict[str, Any] = {"identifier": spec.task_identifier}
    if spec.payload is not None:
        fields["payload"] = spec.payload
    if spec.queue_name is not None:
        fields["queue_name"] = spec.queue_name
    if spec.run_at is not None:
        fields["run_at"] = spec.run_at.astimezone(UTC).isoformat()
    if spec.max_attempts is not None:
        fields["max_attempts"] = spec.max_attempts
    if spec.job_key is not None:
        fields["job_key"] = spec.job_key
    if spec.priority is not None:
        fields["priority"] = spec.priority
    if spec.flags is not None:
        fields["flags"] = list(spec.flags)
    return fields
