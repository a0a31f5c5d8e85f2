"""RabbitMQSink: jobs as messages of an exchange, each confirmed by the broker (publisher confirms).

All of a batch are published over one channel, in order, before the first confirmation is waited for. They are
persistent, and mandatory: one that no queue takes is returned, and fails its job.

The client is aio-pika's, on trio in the database loop; its plain connection, not the robust one, which would connect
anew by itself: what is in doubt then is decided by the worker. A broker that blocks publishers, for want of memory or
disk, confirms nothing and refuses nothing; it says so, and that is an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.execution.sink import Message, standard_headers
from gw_sqla.forwarding.refusal import RefusedError

try:
    import aio_pika
    from aio_pika import exceptions
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
    from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed, InvalidFrameError
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("RabbitMQSink needs aio-pika: pip install 'gw-sqla[rabbitmq]'") from missing

__all__ = ["RabbitMQSink"]

_LOOK_SECONDS = 0.5
_CONNECT_SECONDS = 5
_MOST_PRIORITY = 255
_REFUSED = (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError, ConnectionNotAllowed)


class RabbitMQSink:
    """Publishes each message to an exchange, its routing key its ``topic``, else ``routing_key``, else its task."""

    def __init__(
        self,
        url: str,
        exchange: str = "",
        *,
        routing_key: str | None = None,
        priority: int | None = None,
        **options: Any,
    ) -> None:
        """Parameters: ``url``, such as ``amqp://user:password@host:5672/vhost`` or ``amqps://``.

        ``exchange``: it must be there; by default the one that has each queue's name for its routing key.
        ``priority`` of the messages, 0 to 255, for queues that have some. ``options`` are those of
        ``aio_pika.connect``, such as ``ssl_context``. Raises ConfigurationError.
        """
        if not isinstance(url, str) or urlsplit(url).scheme not in ("amqp", "amqps"):
            raise ConfigurationError("url: must be such as amqp://user:password@localhost:5672/")
        if not isinstance(exchange, str):
            raise ConfigurationError(f"exchange: must be a str, is {exchange!r}")
        if routing_key is not None and not isinstance(routing_key, str):
            raise ConfigurationError(f"routing_key: must be a str, or None, is {routing_key!r}")
        if priority is not None and (not isinstance(priority, int) or not 0 <= priority <= _MOST_PRIORITY):
            raise ConfigurationError(f"priority: must be 0 to {_MOST_PRIORITY}, or None, is {priority!r}")
        self._url = url
        self._exchange_name = exchange
        self._routing_key = routing_key
        self._priority = priority
        self._options: dict[str, Any] = {"timeout": _CONNECT_SECONDS, **options}
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def open(self) -> None:
        """Connect, and look that the exchange is there, or the queue that everything goes to."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Disconnect."""
        await call_asyncio(self._close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Publish them, and wait for the confirmations."""
        return await call_asyncio(self._send, messages)

    async def _open(self) -> None:
        try:
            self._connection = connection = await aio_pika.connect(self._url, **self._options)
            self._channel = channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
            if self._exchange_name:
                self._exchange = await channel.get_exchange(self._exchange_name, ensure=True)
            else:
                self._exchange = channel.default_exchange
                if self._routing_key is not None:
                    await channel.get_queue(self._routing_key, ensure=True)
        except (*_REFUSED, exceptions.ChannelClosed) as error:
            raise ConfigurationError(f"RabbitMQ: {_said(error)}") from None
        except InvalidFrameError:  # aiormq expects anything but that the broker closes the connection here
            raise ConfigurationError(
                "RabbitMQ: it closed the connection: is the virtual host of the URL there, and may the user use it?"
            ) from None
        except exceptions.AMQPError as error:
            raise _lost(error) from None

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._channel = self._exchange = None
        if connection is not None:
            await connection.close()

    async def _send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        publishing = [asyncio.ensure_future(self._publish(message)) for message in messages]
        try:
            while True:
                _, pending = await asyncio.wait(publishing, timeout=_LOOK_SECONDS)
                if not pending:
                    return [one.result() for one in publishing]
                if await self._is_blocked():
                    raise SinkUnavailableError("RabbitMQ has blocked publishers: it is short of memory or disk space")
        finally:
            for one in publishing:
                one.cancel()
            await asyncio.wait(publishing)

    async def _is_blocked(self) -> bool:
        assert self._connection is not None
        transport = self._connection.transport
        if transport is None:
            return False
        try:
            async with asyncio.timeout(0.05):
                await transport.connection.ready()
        except TimeoutError:
            return True
        return False

    async def _publish(self, message: Message) -> Exception | None:
        routing_key = message.topic or self._routing_key or message.job.task_identifier
        assert self._exchange is not None
        try:
            await self._exchange.publish(self._message(message), routing_key, mandatory=True)
        except exceptions.PublishError:
            return RefusedError(f"no queue takes messages with the routing key {routing_key!r}")
        except exceptions.DeliveryError:
            return RefusedError("the broker has refused it (basic.nack)")
        except (ChannelAccessRefused, exceptions.ChannelNotFoundEntity) as error:
            return SinkUnavailableError(f"RabbitMQ: {_said(error)}")
        except (exceptions.AMQPError, RuntimeError, OSError) as error:  # a RuntimeError where the transport is gone
            return _lost(error)
        except ValueError as error:
            return ValueError(f"it is no AMQP message: {class_name(error)}")
        return None

    def _message(self, message: Message) -> aio_pika.Message:
        return aio_pika.Message(
            message.body,
            headers=dict(standard_headers(message)),
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.id,
            type=message.job.task_identifier,
            priority=self._priority,
            app_id="gw_sqla",
        )


def _lost(error: BaseException) -> ConnectionError:
    return ConnectionError(f"RabbitMQ: {_said(error)}")


def _said(error: BaseException) -> str:
    return f"{class_name(error)}: {error}" if str(error) else class_name(error)
