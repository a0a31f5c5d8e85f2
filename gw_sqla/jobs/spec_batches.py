"""JobSpecs as what the statements of adding take: one as parameters, many as JSON texts of bounded size.

Where the time of ``add_jobs`` goes was measured with 50,000 small jobs: two thirds in PostgreSQL, the
rest in rows that come back. A dump of many specs at once costs a fifth of a dump for each of them, so
pieces of them are dumped, and the culprit is looked for only when a piece cannot be dumped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from itertools import islice
from typing import Any, NamedTuple

from gw_sqla.errors import InvalidJobError, InvalidPayloadError
from gw_sqla.jobs.job import JobSpec
from gw_sqla.jobs.payload import to_json
from gw_sqla.types import JobKeyMode

__all__ = ["MOST_SPECS", "MOST_TEXT", "Chunk", "chunks", "spec_to_parameters", "specs_to_json"]

MOST_SPECS = 50_000
"""How many jobs one round trip adds at most. `add_jobs` takes the keys of a round trip in order, so the more the
better against deadlocks; this many small ones are some 5 MB of text and a second in PostgreSQL."""
MOST_TEXT = 16 * 2**20
"""After how many characters of JSON a round trip is begun, with fewer jobs than that: large payloads stay bounded."""
_PIECE = 200


class Chunk(NamedTuple):
    """What one round trip adds: the specs, their JSON array, and whether no other chunk follows."""

    specs: list[JobSpec]
    text: str
    is_last: bool


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


def chunks(specs: Iterable[JobSpec]) -> Iterator[Chunk]:
    """Cut any number of specs into round trips; reads the iterable one spec further than the chunk that it yields.

    Raises what `specs_to_json` raises; a key is refused wherever it occurred before.
    """
    if isinstance(specs, (JobSpec, str)) or not isinstance(specs, Iterable):
        raise InvalidJobError("specs", f"must be a list or another iterable of JobSpec, not a {type(specs).__name__}")
    unread = iter(specs)
    seen: dict[str, int] = {}
    number = 0
    ahead = list(islice(unread, 1))
    while ahead:
        chunk: list[JobSpec] = []
        texts: list[str] = []
        size = 0
        while ahead and size < MOST_TEXT and len(chunk) < MOST_SPECS:
            piece = ahead + list(islice(unread, min(_PIECE, MOST_SPECS - len(chunk)) - 1))
            text = specs_to_json(piece, number, seen)
            chunk += piece
            texts.append(text[1:-1])
            size += len(text)
            number += len(piece)
            ahead = list(islice(unread, 1))
        yield Chunk(chunk, f"[{','.join(texts)}]", not ahead)


def specs_to_json(specs: Sequence[JobSpec], first: int = 0, seen: dict[str, int] | None = None) -> str:
    """Return a JSON array with the fields of job_spec.

    ``first`` is the index of the first spec, ``seen`` the index of each key so far. Raises
    InvalidJobError, which names the index, for a key that occurs twice (the database's SQLSTATE 21000)
    and InvalidPayloadError for a payload that cannot be stored.
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
        return to_json([_fields(spec) for spec in specs])
    except InvalidPayloadError as error:
        for index, spec in enumerate(specs, first):
            try:
                to_json(spec.payload)
            except InvalidPayloadError as own:
                raise InvalidPayloadError(f"of specs[{index}] {own.problem}") from error
        raise


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
