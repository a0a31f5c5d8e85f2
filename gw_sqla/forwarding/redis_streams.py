"""RedisStreamSink: jobs as entries of Redis streams.

All entries for one stream go in one call of a script. It is three times as fast as a pipeline of XADD, whose answers
cost the client more than what it sends, and the entries of a call stand in the stream side by side. An entry that is
refused does not hinder the others.

Redis has no way of its own to drop repeats: consumers do, by the field ``id``. A confirmation means that Redis has it
in memory; how soon it is on disk, and on replicas, is decided by the server's ``appendfsync`` and the like.

The connection is redis-py's, on trio in the database loop. It is asked for nothing twice: redis-py's own retries would
repeat what may have arrived, without a word, and the worker waits outages out itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.execution.sink import Message, standard_headers
from gw_sqla.forwarding.refusal import RefusedError

try:
    from redis import exceptions
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("RedisStreamSink needs redis-py: pip install 'gw-sqla[redis]'") from missing

__all__ = ["RedisStreamSink"]

_ADD = """
local results, place = {}, 4
while place <= #ARGV do
  local last = place + tonumber(ARGV[place])
  local command = {'XADD', KEYS[1]}
  if ARGV[1] == '0' then command[#command + 1] = 'NOMKSTREAM' end
  if ARGV[2] ~= '' then
    command[#command + 1] = 'MAXLEN'
    command[#command + 1] = '~'
    command[#command + 1] = ARGV[2]
  end
  command[#command + 1] = '*'
  for field = place + 1, last do command[#command + 1] = ARGV[field] end
  local added = redis.pcall(unpack(command))
  if added == false then
    results[#results + 1] = 'there is no such stream'
  elseif type(added) == 'table' and added.err then
    results[#results + 1] = added.err
  else
    results[#results + 1] = ''
  end
  place = last + 1
end
return results
"""
"""Of a stream: ``ARGV`` is 1 or 0, whether it may be made; its length or ''; unused; then a count and its fields."""

_SHORT = ("queue", "job-key", "traceparent")
_UNAVAILABLE = ("OOM", "LOADING", "MISCONF", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY")
_FORBIDDEN = re.compile("^NOPERM|^The user executing the script|no permissions to (run|access)|ACL failure")
_QUOTED = re.compile(r",? with args beginning with:.*|'.*'|`.*`", re.DOTALL)


class RedisStreamSink:
    """Adds each message to a stream: its ``topic``, else ``stream``, else one of its task's name.

    An entry has the fields ``id``, ``task`` and ``body``; ``queue``, ``job-key`` and ``traceparent`` where there are
    any; and the message's own headers.
    """

    def __init__(
        self, url: str, stream: str | None = None, *, maxlen: int | None = None, create: bool = True, **options: Any
    ) -> None:
        """Parameters: ``url``, such as ``redis://user:password@host:6379/0`` or ``rediss://``.

        ``maxlen``: about how many entries a stream keeps (``MAXLEN ~``). ``create``: whether a stream is made where
        there is none. ``options`` are those of ``redis.asyncio.Redis.from_url``, such as ``ssl_ca_certs``.
        Raises ConfigurationError.
        """
        if maxlen is not None and (not isinstance(maxlen, int) or isinstance(maxlen, bool) or maxlen < 1):
            raise ConfigurationError(f"maxlen: must be 1 or more, or None, is {maxlen!r}")
        if stream is not None and (not isinstance(stream, str) or not stream):
            raise ConfigurationError(f"stream: must be a text that is not empty, or None, is {stream!r}")
        if not isinstance(url, str):
            raise ConfigurationError(f"url: must be a str, not a {type(url).__name__}")
        self._url = url
        self._stream = stream
        self._lead = ("1" if create else "0", "" if maxlen is None else str(maxlen), "")
        self._create = create
        self._options: dict[str, Any] = {"socket_connect_timeout": 5, "socket_timeout": None, **options}
        self._client: Redis | None = None
        self._script = ""
        try:
            self._new_client().connection_pool.make_connection()  # type: ignore[no-untyped-call] # connects to nothing
        except (ValueError, TypeError, exceptions.RedisError) as error:
            raise ConfigurationError(
                f"url: must be such as redis://localhost:6379/0, with options of redis-py's: {class_name(error)}"
            ) from None  # its text may have a part of the URL

    async def open(self) -> None:
        """Connect, load the script, look at the stream."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Disconnect."""
        await call_asyncio(self._close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Add them, those of one stream in one call."""
        streams: dict[str, list[int]] = {}
        for place, message in enumerate(messages):
            stream = message.topic or self._stream or message.job.task_identifier
            streams.setdefault(stream, []).append(place)
        results: list[Exception | None] = [ConnectionError("not sent")] * len(messages)
        for stream, places in streams.items():
            try:
                answers = await call_asyncio(self._add, stream, [messages[place] for place in places])
            except OSError as fault:
                if len(streams) == 1:
                    raise
                results[places[0]] = fault
                break
            for place, answer in zip(places, answers, strict=True):
                results[place] = _refusal(answer, own=messages[place].topic is None)
        return results

    def _new_client(self) -> Redis:
        return Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), single_connection_client=True, **self._options)

    async def _open(self) -> None:
        self._client = client = self._new_client()
        try:
            self._script = await client.script_load(_ADD)
            if self._stream is not None:
                kind = _text(await client.type(self._stream))
                if kind != "stream" and (kind != "none" or not self._create):
                    found = "there is no such stream" if kind == "none" else f"it is a {kind}"
                    raise ConfigurationError(f"stream {self._stream!r}: {found}")
        except exceptions.RedisError as error:
            raise _fault(error) from None

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _add(self, stream: str, messages: Sequence[Message]) -> Sequence[bytes]:
        arguments: list[str | bytes | int] = list(self._lead)
        for message in messages:
            fields = _fields(message)
            arguments.append(len(fields))
            arguments += fields
        assert self._client is not None
        try:
            try:
                answers = await self._client.evalsha(self._script, 1, stream, *arguments)
            except exceptions.NoScriptError:  # the server has restarted, or has been told to forget them
                self._script = await self._client.script_load(_ADD)
                answers = await self._client.evalsha(self._script, 1, stream, *arguments)
        except exceptions.RedisError as error:
            fault = _fault(error)
            if isinstance(fault, ConfigurationError):  # a password or a right that was taken away meanwhile
                fault = SinkUnavailableError(str(fault))
            raise fault from None
        return answers  # type: ignore[no-any-return] # redis-py cannot know what a script returns


def _fields(message: Message) -> list[str | bytes]:
    job = message.job
    fields: list[str | bytes] = ["id", message.id, "task", job.task_identifier, "body", message.body]
    if message.headers or job.queue_name is not None or job.key is not None or '"_trace"' in job.payload_text:
        headers = standard_headers(message)
        for name in (*_SHORT, *(message.headers or ())):
            if name in headers:
                fields += (name, headers[name])
    return fields


def _refusal(answer: bytes | str, *, own: bool) -> Exception | None:
    """``own``: it went where the sink sends everything, so that a right that lacks is no message's fault."""
    if not answer:
        return None
    said = _said(_text(answer))
    is_outage = said.startswith(_UNAVAILABLE) or (own and _FORBIDDEN.search(said))
    return SinkUnavailableError(said) if is_outage else RefusedError(said)


def _fault(error: exceptions.RedisError) -> Exception:
    """Return what an error of redis-py's means; its own text may quote what was sent."""
    said = _said(str(error))
    match error:
        case exceptions.AuthenticationError() | exceptions.NoPermissionError():
            return ConfigurationError(f"Redis: {said}")
        case exceptions.BusyLoadingError() | exceptions.ReadOnlyError() | exceptions.OutOfMemoryError():
            return SinkUnavailableError(f"Redis: {said}")
        case exceptions.TimeoutError():
            return TimeoutError(f"Redis: {said}")
        case exceptions.ConnectionError():
            return ConnectionError(f"Redis: {said}")
    return (SinkUnavailableError if said.startswith(_UNAVAILABLE) else RefusedError)(f"Redis: {said}")


def _text(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def _said(text: str) -> str:
    return _QUOTED.sub("", text.removeprefix("-").removeprefix("ERR ")).strip()
