"""Any number of JobSpecs, cut into round trips of bounded size.

Where the time of ``add_jobs`` goes was measured with 50,000 small jobs: two thirds in PostgreSQL, the
rest in rows that come back. A dump of many specs at once costs a fifth of a dump for each of them, so
pieces of them are dumped, and the culprit is looked for only when a piece cannot be dumped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from gw_sqla.errors import InvalidJobError
from gw_sqla.hooks.interceptor import Intercept
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.spec_parameters import specs_to_json

__all__ = ["MOST_SPECS", "MOST_TEXT", "Chunk", "chunks"]

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


def chunks(
    specs: Iterable[JobSpec], max_payload_size: int | None, intercept: Intercept | None = None
) -> Iterator[Chunk]:
    """Cut any number of specs into round trips; reads the iterable one spec further than the chunk that it yields.

    Raises what `specs_to_json` and ``intercept`` raise; a key is refused wherever it occurred before.
    """
    if isinstance(specs, (JobSpec, str)) or not isinstance(specs, Iterable):
        raise InvalidJobError("specs", f"must be a list or another iterable of JobSpec, not a {type(specs).__name__}")
    unread = iter(specs) if intercept is None else _intercepted(specs, intercept)
    seen: dict[str, int] = {}
    number = 0
    ahead = list(islice(unread, 1))
    while ahead:
        chunk: list[JobSpec] = []
        texts: list[str] = []
        size = 0
        while ahead and size < MOST_TEXT and len(chunk) < MOST_SPECS:
            piece = ahead + list(islice(unread, min(_PIECE, MOST_SPECS - len(chunk)) - 1))
            text = specs_to_json(piece, number, seen, max_payload_size)
            chunk += piece
            texts.append(text[1:-1])
            size += len(text)
            number += len(piece)
            ahead = list(islice(unread, 1))
        yield Chunk(chunk, f"[{','.join(texts)}]", not ahead)


def _intercepted(specs: Iterable[JobSpec], intercept: Intercept) -> Iterator[JobSpec]:
    """What is no JobSpec passes through: it is refused with its index."""
    for spec in specs:
        yield intercept(spec) if isinstance(spec, JobSpec) else spec
