"""Calls of ten messages to Amazon: in lanes, side by side, and what is refused as a whole message by message.

A call takes ten messages and 256 KiB. Messages of one key are in one lane, whose calls follow each other; all lanes end
with the first call that says, or shows, that the service is out of reach. A call that is refused as a whole, for one of
its messages, is repeated message by message: what befalls one job touches no other.

Within one call Amazon takes some entries and leaves others, also when the fault is its own: of one key the later may
then be taken, and the earlier comes after it. Rejected for that: one message of a key in a call, a tenth of the rate.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gw_sqla.errors import SinkUnavailableError
from gw_sqla.execution.sink import Message, standard_headers
from gw_sqla.forwarding.aws import fault_of
from gw_sqla.forwarding.refusal import RefusedError

__all__ = ["Entry", "Publish", "entry_of", "send_in_calls"]

_MOST_MESSAGES = 10
_MOST_BYTES = 256 * 1024
_MOST_BYTES_OF_ONE = 1024 * 1024
_ATTRIBUTES = ("message-id", "task", "queue", "job-key", "traceparent")
"""Of the standard headers, as there may be ten attributes."""
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_NOT_SENT = ConnectionError("not sent")

Publish = Callable[[str, bool, Sequence[dict[str, Any]]], Awaitable[Mapping[str, Any]]]
"""Makes one call: to whom, whether that is where the sink sends everything, the entries."""


@dataclass(slots=True, eq=False)
class Entry:
    """One message as Amazon takes it; ``own``: it goes where the sink sends everything; ``size``: as Amazon counts."""

    to: str
    own: bool
    key: str | None
    fields: dict[str, Any]
    size: int


def entry_of(message: Message, body_field: str, to: str, *, own: bool) -> Entry | RefusedError:
    """Return the entry of a message, or what is wrong with it.

    Attributes that are empty are left out: there can be none. A group or a deduplication id takes what is printable in
    ASCII, up to 128 characters: of another queue name, or source, it is a digest.
    """
    headers = standard_headers(message)
    attributes = {
        name: headers[name] for name in dict.fromkeys((*_ATTRIBUTES, *(message.headers or ()))) if headers.get(name)
    }
    try:
        texts = "".join(f"{name}String{value}" for name, value in attributes.items())
        size = len(message.body) + len(texts.encode())
        fields: dict[str, Any] = {body_field: message.body.decode()}
    except UnicodeError:
        return RefusedError("a body and attributes must be text in UTF-8")
    if size > _MOST_BYTES_OF_ONE:
        return RefusedError(f"it has {size} bytes; no message may have more than {_MOST_BYTES_OF_ONE}")
    fields["MessageAttributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    if to.endswith(".fifo"):
        fields["MessageGroupId"] = _identifier(message.id if message.key is None else message.key)
        fields["MessageDeduplicationId"] = _identifier(message.id)
    return Entry(to, own, message.key, fields, size)


async def send_in_calls(
    service: str, entries: Sequence[Entry | Exception], concurrency: int, publish: Publish
) -> list[Exception | None]:
    """Send the entries; return a result for each, an exception for what is one already."""
    results: list[Exception | None] = [_NOT_SENT if isinstance(entry, Entry) else entry for entry in entries]
    lanes = _lanes(entries, concurrency)
    outages: list[Exception] = []

    async def send_call(call: Sequence[tuple[int, Entry]]) -> None:
        try:
            fields = [{"Id": str(number), **entry.fields} for number, (_, entry) in enumerate(call)]
            answer = await publish(call[0][1].to, call[0][1].own, fields)
        except RefusedError as refusal:
            if len(call) == 1:
                results[call[0][0]] = refusal
                return
            for one in call:
                await send_call([one])
            return
        results_of_call = {place: None for place, _ in call} | {
            call[int(failed["Id"])][0]: _failure(service, failed, call[int(failed["Id"])][1])
            for failed in answer.get("Failed", ())
        }
        for place, result in results_of_call.items():
            results[place] = result
            if isinstance(result, SinkUnavailableError):
                outages.append(result)

    async def send_lanes() -> None:
        for lane in lanes:
            for call in _calls(lane):
                if outages:
                    return
                try:
                    await send_call(call)
                except (SinkUnavailableError, OSError) as fault:
                    outages.append(fault)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(send_lanes())
    return [outages[0] if result is _NOT_SENT else result for result in results]


def _lanes(entries: Sequence[Entry | Exception], concurrency: int) -> Iterator[Sequence[tuple[int, Entry]]]:
    """Return what is sent one call after the other: of each destination as many lanes as its calls may fill."""
    by_destination: dict[str, list[tuple[int, Entry]]] = {}
    for place, entry in enumerate(entries):
        if isinstance(entry, Entry):
            by_destination.setdefault(entry.to, []).append((place, entry))
    for sent in by_destination.values():
        lanes: list[list[tuple[int, Entry]]] = [[] for _ in range(min(concurrency, -(-len(sent) // _MOST_MESSAGES)))]
        for number, (place, entry) in enumerate(sent):
            lane = number // _MOST_MESSAGES if entry.key is None else hash(entry.key)
            lanes[lane % len(lanes)].append((place, entry))
        yield from filter(None, lanes)


def _calls(lane: Sequence[tuple[int, Entry]]) -> Iterator[Sequence[tuple[int, Entry]]]:
    call: list[tuple[int, Entry]] = []
    size = 0
    for place, entry in lane:
        if call and (len(call) == _MOST_MESSAGES or size + entry.size > _MOST_BYTES):
            yield call
            call, size = [], 0
        call.append((place, entry))
        size += entry.size
    yield call


def _failure(service: str, failed: Mapping[str, Any], entry: Entry) -> Exception:
    code = str(failed.get("Code", "Unknown"))
    if not failed.get("SenderFault", True):
        return SinkUnavailableError(f"{service}: {code}")
    return fault_of(service, code, str(failed.get("Message", "")), own=entry.own)


def _identifier(text: str) -> str:
    return text if _ID.fullmatch(text) else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
