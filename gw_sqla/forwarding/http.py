"""HttpSink: jobs as webhooks: one POST each, a CloudEvent (binary mode), signed as Standard Webhooks are.

httpx, because it is at home on trio too; aiohttp is faster and speaks asyncio only, but a webhook takes as long as its
receiver does. Its transport alone: its client logs every URL, which may have a secret in it. Redirects are not
followed: they would take the signed body elsewhere.

A 2xx confirms. 408, 425, 502, 503 and 504, and a connection that fails, say that the receiver is out of reach, which is
an outage; where a message has a ``topic``, a URL of its own, they fail that job alone, since other receivers may be
there. 429 and 503 with Retry-After fail the job until then, 410 for good, any other status with its number. What a
receiver writes in its answer is in no error: it may quote the payload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

import anyio

from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, FailPermanently, RetryAfter
from gw_sqla.execution.sink import Message, standard_headers

try:
    import httpx
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("HttpSink needs httpx: pip install 'gw-sqla[http]'") from missing

__all__ = ["HttpSink", "WebhookError"]

_OUT_OF_REACH = frozenset({408, 425, 502, 503, 504})
_LONGEST_WAIT = timedelta(days=1)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?")


class WebhookError(Exception):
    """A receiver has answered with a status that confirms nothing; ``status`` is its number."""

    def __init__(self, status: int, host: str) -> None:
        super().__init__(f"{host} answered with status {status}")
        self.status = status


class HttpSink:
    """Posts each message to a URL. Messages of one key are posted one after the other, others side by side."""

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        event_source: str = "gw_sqla",
        headers: Mapping[str, str] | None = None,
        concurrency: int = 20,
        timeout: timedelta = timedelta(seconds=10),
        proxy: str | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        """Parameters: ``secret`` for the signature, ``whsec_`` and base64, as Standard Webhooks has it, or any text.

        ``event_source``: the CloudEvents' source; ``headers`` of every request, such as Authorization;
        ``concurrency``: how many requests at once; ``timeout`` of each; ``proxy``: a URL (the environment's is not
        looked at); ``verify``: whom to trust, by default whom the machine trusts. Raises ConfigurationError.
        """
        self._url = _checked(url, "url")
        if not isinstance(concurrency, int) or not 1 <= concurrency <= 1000:
            raise ConfigurationError(f"concurrency: must be 1 to 1000, is {concurrency!r}")
        if not isinstance(timeout, timedelta) or timeout <= timedelta(0):
            raise ConfigurationError(f"timeout: must be a timedelta longer than 0, is {timeout!r}")
        self._proxy = None if proxy is None else _checked(proxy, "proxy")
        self._key = None if secret is None else _key(secret)
        self._event_source = event_source
        self._headers = _checked_headers(headers or {})
        self._concurrency = concurrency
        self._extensions = {"timeout": httpx.Timeout(timeout.total_seconds()).as_dict()}
        self._verify = verify
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def open(self) -> None:
        """Connect to the receiver, or the proxy, and hang up: nobody is asked for anything."""
        peer = self._proxy or self._url
        stream = await anyio.connect_tcp(peer.host, peer.port or (443 if peer.scheme == "https" else 80))
        await stream.aclose()
        limits = httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
        self._transport = httpx.AsyncHTTPTransport(
            limits=limits,
            verify=self._verify or ssl.create_default_context(),
            proxy=self._proxy,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Post them."""
        results: list[Exception | None] = [ConnectionError("not sent")] * len(messages)
        lanes = iter(_lanes(messages))

        async def post_lanes() -> None:
            for lane in lanes:
                for place in lane:
                    results[place] = await self._post(messages[place])
                    if isinstance(results[place], OSError):
                        break

        async with anyio.create_task_group() as task_group:
            for _ in range(min(self._concurrency, len(messages))):
                task_group.start_soon(post_lanes)
        return results

    async def _post(self, message: Message) -> Exception | None:
        assert self._transport is not None
        try:
            url = self._url if message.topic is None else _checked(message.topic, "topic")
        except ConfigurationError as error:
            return error
        try:
            headers = self._headers_of(message)
            request = httpx.Request("POST", url, headers=headers, content=message.body, extensions=self._extensions)
            answer = await self._transport.handle_async_request(request)
            await answer.aread()
            await answer.aclose()
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, UnicodeEncodeError) as error:
            return ValueError(f"the message is no HTTP request: {class_name(error)}")
        except httpx.TransportError as error:
            fault = f"{url.host}: {class_name(error)}"
            return ConnectionError(fault) if message.topic is None else RuntimeError(fault)
        return _judged(answer, url.host, has_own_url=message.topic is not None)

    def _headers_of(self, message: Message) -> dict[str, str]:
        headers = {name: quote(value, safe=" -:.+/=,;") for name, value in standard_headers(message).items()}
        headers |= self._headers
        headers |= {
            "content-type": message.content_type,
            "ce-specversion": "1.0",
            "ce-id": headers["message-id"],
            "ce-source": self._event_source,
            "ce-type": quote(message.job.task_identifier),
            "ce-time": datetime.now(UTC).isoformat(),
        }
        if self._key is not None:
            sent = str(int(time.time()))
            signed = b".".join((headers["message-id"].encode(), sent.encode(), message.body))
            digest = base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
            headers |= {
                "webhook-id": headers["message-id"],
                "webhook-timestamp": sent,
                "webhook-signature": f"v1,{digest}",
            }
        return headers


def _lanes(messages: Sequence[Message]) -> Iterator[Sequence[int]]:
    """Return the places of those that follow each other: of one key, or one alone."""
    lanes: dict[object, list[int]] = {}
    for place, message in enumerate(messages):
        lanes.setdefault(place if message.key is None else message.key, []).append(place)
    return iter(lanes.values())


def _judged(answer: httpx.Response, host: str, *, has_own_url: bool) -> Exception | None:
    status = answer.status_code
    if answer.is_success:
        return None
    if status == 410:
        return FailPermanently(f"{host} answered with status 410: it is gone")
    if status in (429, 503) and (wait := _wait(answer.headers.get("retry-after"))) is not None:
        return RetryAfter(wait, f"{host} answered with status {status}")
    if status in _OUT_OF_REACH and not has_own_url:
        return ConnectionError(f"{host} answered with status {status}")
    return WebhookError(status, host)


def _wait(value: str | None) -> timedelta | None:
    """Return what Retry-After says: seconds, or a date; None where it says nothing that can be read."""
    if value is None:
        return None
    try:
        wait = timedelta(seconds=int(value)) if value.isdigit() else parsedate_to_datetime(value) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(timedelta(0), min(wait, _LONGEST_WAIT))


def _checked(url: str, name: str) -> httpx.URL:
    """Return a URL; raises ConfigurationError, without the URL: there may be a secret in it."""
    try:
        urlsplit(url)
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{name}: is no URL: {class_name(error)}") from None  # its text may have it
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(f"{name}: must be a URL such as https://example.com/hook")
    return parsed


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers; raises ConfigurationError, without their values, for what no request can have."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"headers: {name!r} is no name of a header")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ConfigurationError(f"headers: the value of {name} must be one line of ASCII, no space around it")
    return dict(headers)


def _key(secret: str) -> bytes:
    if not isinstance(secret, str) or not secret:
        raise ConfigurationError("secret: must be a text that is not empty")
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ConfigurationError("secret: what follows whsec_ must be base64") from error
