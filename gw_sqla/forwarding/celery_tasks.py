"""CelerySink: jobs as tasks of Celery, in whatever broker its app uses.

Celery's client blocks, so a batch is sent in a thread, over a connection of its own. Redis answers each send; RabbitMQ
confirms only if the app says so (``broker_transport_options = {"confirm_publish": True}``), and the sink insists.

A payload that is an array becomes the positional arguments, an object the keyword arguments, anything else the only
argument. The Celery task's id is the message's: the same at each attempt. Celery does not drop repeats.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.sink import Message, standard_headers

try:
    from celery import Celery
    from kombu.exceptions import OperationalError
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("CelerySink needs Celery: pip install 'gw-sqla[celery]'") from missing

__all__ = ["CelerySink"]

_CONNECT_SECONDS = 5
_OF_CELERY = frozenset(
    """lang task id shadow eta expires group group_index retries timelimit root_id parent_id argsrepr kwargsrepr origin
    ignore_result replaced_task_nesting stamped_headers stamps""".split()  # noqa: SIM905 - a list has a line for each
)


class CelerySink:
    """Sends each message as a task: its ``topic``, else ``task``, else the job's own task's name."""

    def __init__(self, app: Celery, task: str | None = None, *, queue: str | None = None) -> None:
        """Parameters: ``app``, whose broker is used; ``task``, the name of a Celery task; ``queue``, in place of the
        app's routes. Raises ConfigurationError.
        """
        if not isinstance(app, Celery):
            raise ConfigurationError(f"app: must be a Celery app, is a {type(app).__name__}")
        for name, value in (("task", task), ("queue", queue)):
            if value is not None and (not isinstance(value, str) or not value):
                raise ConfigurationError(f"{name}: must be a text that is not empty, or None, is {value!r}")
        self._app = app
        self._task = task
        self._queue = queue
        self._connection: Any = None
        self._producer: Any = None

    async def open(self) -> None:
        """Connect."""
        await anyio.to_thread.run_sync(self._open, abandon_on_cancel=True)

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            await anyio.to_thread.run_sync(connection.release, abandon_on_cancel=True)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Send them, one after the other. A cancelled one goes on in its thread: repeats."""
        return await anyio.to_thread.run_sync(self._send, self._producer, messages, abandon_on_cancel=True)

    def _open(self) -> None:
        connection = self._app.connection_for_write(connect_timeout=_CONNECT_SECONDS)
        if connection.transport.driver_type == "amqp" and not connection.transport_options.get("confirm_publish"):
            raise ConfigurationError(
                "Celery: RabbitMQ would confirm nothing: set broker_transport_options = {'confirm_publish': True}"
            )
        self._connection = connection
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_CONNECT_SECONDS)
            connection.default_channel  # noqa: B018 - makes one
        except (OperationalError, *connection.connection_errors, OSError) as error:
            raise ConnectionError(f"Celery's broker: {class_name(error)}") from None
        self._producer = self._app.amqp.Producer(connection)

    def _send(self, producer: Any, messages: Sequence[Message]) -> list[Exception | None]:
        results: list[Exception | None] = []
        for message in messages:
            result = self._send_one(producer, message)
            results.append(result)
            if isinstance(result, OSError):
                break
        return [*results, *[ConnectionError("not sent")] * (len(messages) - len(results))]

    def _send_one(self, producer: Any, message: Message) -> Exception | None:
        broken = (OperationalError, *producer.connection.connection_errors, *producer.connection.channel_errors)
        try:
            args, kwargs = _arguments(message)
            options: dict[str, Any] = {} if self._queue is None else {"queue": self._queue}
            self._app.send_task(
                message.topic or self._task or message.job.task_identifier,
                args,
                kwargs,
                task_id=message.id,
                producer=producer,
                headers=_headers(message),
                retry=False,
                **options,
            )
        except (*broken, OSError) as error:
            return ConnectionError(f"Celery's broker: {class_name(error)}")
        except Exception as error:  # of what Celery makes of this message
            return error
        return None


def _headers(message: Message) -> dict[str, str]:
    """The headers, but those that are Celery's own: by them a worker knows what to run."""
    return {name: value for name, value in standard_headers(message).items() if name not in _OF_CELERY}


def _arguments(message: Message) -> tuple[list[Any], dict[str, Any]]:
    payload = json.loads(message.body)
    if isinstance(payload, dict):
        return [], payload
    return (payload if isinstance(payload, list) else [payload]), {}
