"""SqsSink: jobs as messages of an SQS queue, each confirmed by the service.

In a FIFO queue the message's group is its key (the job's queue), and a job without one is a group of its own; its
deduplication id is the message's id: the queue drops repeats by itself for five minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.sink import Message
from gw_sqla.forwarding.aws import AwsClient, check_concurrency, checked_access
from gw_sqla.forwarding.aws_calls import Entry, entry_of, send_in_calls

__all__ = ["SqsSink"]

_SERVICE = "SQS"


class SqsSink:
    """Sends each message to a queue: its ``topic``, else ``queue``, else one of its task's name."""

    def __init__(
        self,
        queue: str | None = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        concurrency: int = 10,
    ) -> None:
        """Parameters: ``queue``, its name or its URL; it must be there. ``concurrency``: how many calls at once.

        ``region``, ``access_key_id`` and ``secret_access_key``: without them as botocore finds them. ``endpoint_url``:
        in place of Amazon's own. Raises ConfigurationError.
        """
        if queue is not None and (not isinstance(queue, str) or not queue):
            raise ConfigurationError(f"queue: must be a name, a URL, or None, is {queue!r}")
        check_concurrency(concurrency)
        access = checked_access(
            region=region,
            endpoint_url=endpoint_url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        self._queue = queue
        self._concurrency = concurrency
        self._client = AwsClient("sqs", access)
        self._urls: dict[str, str] = {}

    async def open(self) -> None:
        """Make a client, and look that the queue is there (the right sqs:GetQueueUrl)."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Close the connections."""
        await call_asyncio(self._client.close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Send them, ten in a call."""
        entries = [self._entry(message) for message in messages]
        return await call_asyncio(send_in_calls, _SERVICE, entries, self._concurrency, self._publish)

    async def _open(self) -> None:
        self._urls = {}
        await self._client.open()
        if self._queue is not None:
            found = await self._client.look("get_queue_url", **_named(self._queue))
            self._urls[self._queue] = self._queue if _is_url(self._queue) else str(found["QueueUrl"])

    def _entry(self, message: Message) -> Entry | Exception:
        queue = message.topic or self._queue or message.job.task_identifier
        return entry_of(message, "MessageBody", queue, own=message.topic is None and self._queue is not None)

    async def _publish(self, queue: str, own: bool, entries: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
        url = queue if _is_url(queue) else self._urls.get(queue)
        if url is None:
            found = await self._client.call("get_queue_url", own=own, QueueName=queue)
            url = self._urls[queue] = str(found["QueueUrl"])
        return await self._client.call("send_message_batch", own=own, QueueUrl=url, Entries=entries)


def _is_url(queue: str) -> bool:
    return queue.startswith(("http://", "https://"))


def _named(queue: str) -> dict[str, str]:
    """Return the parameters that name a queue: of a URL, its last two parts are the account and the name."""
    if not _is_url(queue):
        return {"QueueName": queue}
    path = urlsplit(queue).path.strip("/").split("/")
    return {"QueueName": path[-1]} | ({"QueueOwnerAWSAccountId": path[-2]} if len(path) > 1 else {})
