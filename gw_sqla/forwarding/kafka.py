"""KafkaSink: jobs as records of Kafka topics, by an idempotent producer, each confirmed by all in-sync replicas.

A record's key is the message's key, by default the job's queue: one partition, and so in order. A record without a key
goes to any partition. The producer numbers what it sends, so that its own repeats are dropped by the broker; what is
sent anew after an outage, by another producer, is not: consumers drop it by the header ``message-id``.

The client is aiokafka's, on trio in the database loop. It never gives up by itself: what is in doubt is decided by the
worker's timeout. So `close` does not let it go on, as its own ``stop`` would: records that nobody waits for any more
would come behind those that are sent anew.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from typing import Any

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.execution.sink import Message, standard_headers
from gw_sqla.forwarding.refusal import RefusedError

try:
    from aiokafka import AIOKafkaProducer, errors
    from aiokafka.conn import create_conn
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("KafkaSink needs aiokafka: pip install 'gw-sqla[kafka]'") from missing

__all__ = ["KafkaSink"]

_CONNECT_SECONDS = 10
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SERVER = r"(?:[^\s,:/@\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
_SERVERS = re.compile(rf"{_SERVER}(,{_SERVER})*")
_COMPRESSIONS = ("gzip", "snappy", "lz4", "zstd")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_REFUSED = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidMessageError,
    errors.InvalidTopicError,
    errors.UnsupportedForMessageFormatError,
    errors.InvalidTimestampError,
    errors.PolicyViolationError,
)
_CREDENTIALS = (
    errors.SaslAuthenticationFailed,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.UnsupportedSaslMechanismError,
)
_OF_TOPIC = (errors.UnknownTopicOrPartitionError, errors.TopicAuthorizationFailedError)


class KafkaSink:
    """Sends each message to a topic: its own ``topic``, else that of the sink, else one of its task's name."""

    def __init__(
        self,
        servers: str,
        topic: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        mechanism: str = "SCRAM-SHA-512",
        tls: bool | ssl.SSLContext = False,
        compression: str | None = None,
    ) -> None:
        """Parameters: ``servers``, to begin with, such as ``kafka1:9092,kafka2:9092``; ``topic``, which must be there.

        ``username`` and ``password``, by the SASL ``mechanism`` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512); ``tls``: True
        trusts whom the machine trusts; ``compression``: gzip, or snappy, lz4 or zstd with ``aiokafka[all]``.
        Raises ConfigurationError.
        """
        if not isinstance(servers, str) or not _SERVERS.fullmatch(servers):
            raise ConfigurationError("servers: must be such as kafka1:9092,kafka2:9092")
        if topic is not None and not (isinstance(topic, str) and _TOPIC.fullmatch(topic)):
            raise ConfigurationError(f"topic: must be a topic's name, or None, is {topic!r}")
        for name, value in (("username", username), ("password", password)):
            if value is not None and (not isinstance(value, str) or not value):
                raise ConfigurationError(f"{name}: must be a text that is not empty, or None")
        if (username is None) != (password is None):
            raise ConfigurationError("username: goes with password: give both, or neither")
        if mechanism not in _MECHANISMS:
            raise ConfigurationError(f"mechanism: must be one of {', '.join(_MECHANISMS)}, is {mechanism!r}")
        if compression is not None and compression not in _COMPRESSIONS:
            raise ConfigurationError(f"compression: must be one of {', '.join(_COMPRESSIONS)}, is {compression!r}")
        if not isinstance(tls, (bool, ssl.SSLContext)):
            raise ConfigurationError(f"tls: must be True, False or an SSLContext, is a {type(tls).__name__}")
        self._topic = topic
        self._tls = tls
        self._options: dict[str, Any] = {
            "bootstrap_servers": servers,
            "security_protocol": f"{'SASL_' if username else ''}{'SSL' if tls else 'PLAINTEXT'}",
            "compression_type": compression,
        }
        if username is not None:
            self._options |= {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": username,
                "sasl_plain_password": password,
            }
        self._producer: Any = None
        self._topics: set[str] = set()
        try:
            self._make_checked()
        except (ValueError, RuntimeError) as error:  # such as a compression whose library is not there
            raise ConfigurationError(f"Kafka: {class_name(error)}: {error}") from error

    async def open(self) -> None:
        """Connect, and look that the topic is there."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Disconnect, whatever is still to be sent."""
        await call_asyncio(self._close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Send them, and wait until each is confirmed."""
        return await call_asyncio(self._send, messages)

    def _make_checked(self) -> None:
        """Let aiokafka look at the options, without a loop."""
        if self._options["compression_type"] not in (None, "gzip"):
            from aiokafka import codec

            if not getattr(codec, f"has_{self._options['compression_type']}")():
                raise ValueError("the library for this compression is not installed: pip install 'aiokafka[all]'")

    async def _open(self) -> None:
        context = ssl.create_default_context() if self._tls is True else self._tls or None
        self._producer = producer = AIOKafkaProducer(
            enable_idempotence=True, acks="all", client_id="gw_sqla", ssl_context=context, **self._options
        )
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await producer.start()
                await self._look()
        except TimeoutError:
            raise ConnectionError(f"Kafka: no answer within {_CONNECT_SECONDS} s") from None
        except errors.ClusterAuthorizationFailedError as error:
            raise ConfigurationError(f"Kafka: {class_name(error)}") from None
        except errors.KafkaError as error:
            await self._look_whether_it_is_the_password()
            raise ConnectionError(_said(error)) from None
        if self._topic is not None and self._topic not in self._topics:
            raise ConfigurationError(f"Kafka: topic: there is no {self._topic!r}, or this user may not see it")

    async def _look_whether_it_is_the_password(self) -> None:
        """Raise ConfigurationError if it is: the client says only that it could reach nobody."""
        if "sasl_mechanism" not in self._options:
            return
        host, _, port = self._options["bootstrap_servers"].split(",")[0].rpartition(":")
        options = {name: value for name, value in self._options.items() if name.startswith(("sasl_", "security_"))}
        context = self._producer.client._ssl_context
        try:
            connection = await create_conn(host.strip("[]"), int(port), ssl_context=context, **options)
        except _CREDENTIALS as error:
            raise ConfigurationError(f"Kafka: {class_name(error)}") from None
        except (errors.KafkaError, OSError):
            return
        connection.close()

    async def _look(self) -> None:
        """See which topics there are."""
        self._topics = set((await self._producer.client.fetch_all_metadata()).topics())

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        sending = producer._sender.sender_task
        if sending is not None:
            sending.cancel()  # it ends when all that it has asked for is answered, or cut off
        await producer.client.close()
        while sending is not None and not sending.done():
            await asyncio.wait([sending], timeout=0.1)
            sending.cancel()
        producer._closed = True  # or its __del__ warns

    async def _send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        wanted = {self._topic_of(message) for message in messages}
        if not wanted <= self._topics:
            try:
                await self._look()
            except errors.KafkaError as error:
                raise ConnectionError(_said(error)) from None
        results: list[Exception | None] = [None] * len(messages)
        sent: dict[int, Any] = {}
        for place, message in enumerate(messages):
            try:
                sent[place] = await self._send_one(message)
            except RefusedError as refusal:
                results[place] = refusal
            except (errors.KafkaError, OSError) as error:
                results[place] = self._judged(error, message)
        if sent:
            await asyncio.wait(sent.values())
        for place, future in sent.items():
            fault = future.exception()
            results[place] = None if fault is None else self._judged(fault, messages[place])
        return results

    async def _send_one(self, message: Message) -> Any:
        topic = self._topic_of(message)
        if topic not in self._topics:
            if message.topic is None and self._topic is not None:
                raise errors.UnknownTopicOrPartitionError
            raise RefusedError(f"there is no topic {topic!r}, or this user may not see it")
        headers = [(name, value.encode()) for name, value in standard_headers(message).items()]
        key = None if message.key is None else message.key.encode()
        return await self._producer.send(topic, message.body, key, headers=headers)

    def _topic_of(self, message: Message) -> str:
        return message.topic or self._topic or message.job.task_identifier

    def _judged(self, error: BaseException, message: Message) -> Exception:
        own = message.topic is None and self._topic is not None
        if isinstance(error, _REFUSED) or (isinstance(error, _OF_TOPIC) and not own):
            return RefusedError(f"Kafka: {class_name(error)}")
        if isinstance(error, (*_OF_TOPIC, errors.NotEnoughReplicasError, errors.NotEnoughReplicasAfterAppendError)):
            return SinkUnavailableError(f"Kafka: {class_name(error)}")
        return ConnectionError(_said(error))


def _said(error: BaseException) -> str:
    return (
        f"Kafka: {class_name(error)}: {error}"
        if isinstance(error, errors.KafkaConnectionError)
        else (f"Kafka: {class_name(error)}")
    )
