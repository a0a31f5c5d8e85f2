"""NatsSink: jobs as messages of a JetStream stream, each acknowledged by the server.

A message's id is its ``Nats-Msg-Id``: the stream drops repeats by itself, within its window (two minutes unless it says
otherwise). So where several databases forward to one stream, each needs a ``source``: without one, messages of two of
them with one job id would be taken for one.

The client is nats-py, on trio in the database loop. It must not connect anew by itself: what is in doubt then is
decided by the worker.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.execution.sink import Message, standard_headers
from gw_sqla.forwarding.refusal import RefusedError

try:
    from nats import errors
    from nats.aio.client import Client
    from nats.js import errors as stream_errors
    from nats.js.client import JetStreamContext
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("NatsSink needs nats-py: pip install 'gw-sqla[nats]'") from missing

__all__ = ["NatsSink"]

_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_SECONDS = 5
_ACK_SECONDS = 3600.0
"""Longer than a worker waits for a batch: that decides."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f%]")


class NatsSink:
    """Publishes each message to a subject of a stream: its ``topic``, else ``subject``, else its task's name."""

    def __init__(self, url: str, subject: str | None = None, *, stream: str | None = None, **options: Any) -> None:
        """Parameters: ``url``, such as ``nats://user:password@host:4222`` or ``tls://``.

        ``subject``: a stream that takes it must be there. ``stream``: the one that must be there, and no other takes
        the messages. ``options`` are those of ``nats.connect``, such as ``user_credentials`` or ``tls``. Raises
        ConfigurationError.
        """
        if not isinstance(url, str) or urlsplit(url).scheme not in ("nats", "tls", "ws", "wss"):
            raise ConfigurationError("url: must be such as nats://localhost:4222")
        if subject is not None and (not isinstance(subject, str) or not _SUBJECT.fullmatch(subject)):
            raise ConfigurationError(f"subject: must be names with dots between them, or None, is {subject!r}")
        if stream is not None and (not isinstance(stream, str) or not stream):
            raise ConfigurationError(f"stream: must be a text that is not empty, or None, is {stream!r}")
        self._url = url
        self._subject = subject
        self._stream = stream
        self._options = options
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._closed = asyncio.Event()

    async def open(self) -> None:
        """Connect, and look that there is such a stream."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Disconnect."""
        await call_asyncio(self._close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Publish them, and wait for the acknowledgements."""
        return await call_asyncio(self._send, messages)

    async def _open(self) -> None:
        self._closed = closed = asyncio.Event()

        seen: list[str] = []

        async def keep(error: Exception) -> None:
            """The worker tells what is wrong."""
            seen[:] = [f"{class_name(error)}: {error}" if str(error) else class_name(error)]

        async def note() -> None:
            closed.set()

        options: dict[str, Any] = {"connect_timeout": _SECONDS, "name": "gw_sqla", **self._options}
        options |= {"allow_reconnect": False, "error_cb": keep, "closed_cb": note, "disconnected_cb": note}
        self._client = client = Client()
        try:
            async with asyncio.timeout(2 * _SECONDS):  # its own tries, for as long as it likes
                await client.connect(self._url, **options)
            self._context = client.jetstream(timeout=_SECONDS)
            if self._stream is not None:
                await self._context.stream_info(self._stream)
            elif self._subject is not None:
                await self._context.find_stream_name_by_subject(self._subject)
        except stream_errors.NotFoundError:
            found = f"stream: there is no {self._stream!r}" if self._stream else f"no stream takes {self._subject!r}"
            raise ConfigurationError(f"NATS: {found}") from None
        except (stream_errors.ServiceUnavailableError, stream_errors.NoStreamResponseError, errors.NoRespondersError):
            raise SinkUnavailableError("NATS: JetStream does not answer; is it enabled there?") from None
        except TimeoutError:
            raise ConnectionError(f"NATS: {seen[0] if seen else 'no answer'}") from None
        except errors.Error as error:
            said = f"NATS: {class_name(error)}: {error}"
            if "authorization" in said.lower():
                raise ConfigurationError(said) from None
            raise ConnectionError(said) from None

    async def _close(self) -> None:
        client, self._client, self._context = self._client, None, None
        if client is not None and not client.is_closed:
            await client.close()

    async def _send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        publishing = [asyncio.ensure_future(self._publish(message)) for message in messages]
        all_published, lost = (
            asyncio.ensure_future(asyncio.wait(publishing)),
            asyncio.ensure_future(self._closed.wait()),
        )
        try:
            await asyncio.wait([all_published, lost], return_when=asyncio.FIRST_COMPLETED)
            return [
                one.result() if one.done() else ConnectionError("NATS: the connection has ended") for one in publishing
            ]
        finally:
            for task in (*publishing, all_published, lost):
                task.cancel()
            await asyncio.wait([*publishing, all_published, lost])

    async def _publish(self, message: Message) -> Exception | None:
        subject = message.topic or self._subject or message.job.task_identifier
        if not _SUBJECT.fullmatch(subject):
            return RefusedError(f"{subject!r} is no subject")
        headers = {
            name: _CONTROLS.sub(lambda found: quote(found[0]), value)
            for name, value in (standard_headers(message) | {"Nats-Msg-Id": message.id}).items()
        }
        headers["content-type"] = message.content_type
        assert self._context is not None
        try:
            await self._context.publish(
                subject, message.body, timeout=_ACK_SECONDS, stream=self._stream, headers=headers
            )
        except stream_errors.NoStreamResponseError:
            return RefusedError(f"no stream takes the subject {subject!r}")
        except errors.MaxPayloadError:
            return RefusedError("the message is larger than the server's max_payload")
        except stream_errors.ServiceUnavailableError as error:
            return SinkUnavailableError(f"NATS: {error.description}")
        except stream_errors.APIError as error:
            return RefusedError(f"{error.description}")
        except (errors.Error, OSError) as error:
            return ConnectionError(f"NATS: {class_name(error)}")
        return None
