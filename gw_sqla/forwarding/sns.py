"""SnsSink: jobs as messages of an SNS topic, each confirmed by the service.

In a FIFO topic the message's group is its key (the job's queue), and a job without one is a group of its own; its
deduplication id is the message's id: the topic drops repeats by itself for five minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gw_sqla.database.event_loops import call_asyncio
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.sink import Message
from gw_sqla.forwarding.aws import AwsClient, check_concurrency, checked_access
from gw_sqla.forwarding.aws_calls import Entry, entry_of, send_in_calls

__all__ = ["SnsSink"]

_SERVICE = "SNS"
_ARN = re.compile(r"arn:[\w-]+:sns:([\w-]+):\d+:[\w.-]+")


class SnsSink:
    """Publishes each message to a topic: its ``topic``, else ``topic_arn``."""

    def __init__(
        self,
        topic_arn: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        concurrency: int = 10,
    ) -> None:
        """Parameters: ``topic_arn``, such as ``arn:aws:sns:eu-west-1:123456789012:orders``; it must be there.

        ``concurrency``: how many calls at once. ``region``: by default that of the topic. ``access_key_id`` and
        ``secret_access_key``: without them as botocore finds them. ``endpoint_url``: in place of Amazon's own.
        Raises ConfigurationError.
        """
        found = _ARN.fullmatch(topic_arn) if isinstance(topic_arn, str) else None
        if found is None:
            raise ConfigurationError("topic_arn: must be such as arn:aws:sns:eu-west-1:123456789012:orders")
        check_concurrency(concurrency)
        access = checked_access(
            region=found[1] if region is None else region,
            endpoint_url=endpoint_url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        self._topic = topic_arn
        self._concurrency = concurrency
        self._client = AwsClient("sns", access)

    async def open(self) -> None:
        """Make a client, and look that the topic is there (the right sns:GetTopicAttributes)."""
        await call_asyncio(self._open)

    async def close(self) -> None:
        """Close the connections."""
        await call_asyncio(self._client.close)

    async def send(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Publish them, ten in a call."""
        entries = [self._entry(message) for message in messages]
        return await call_asyncio(send_in_calls, _SERVICE, entries, self._concurrency, self._publish)

    async def _open(self) -> None:
        await self._client.open()
        await self._client.look("get_topic_attributes", TopicArn=self._topic)

    def _entry(self, message: Message) -> Entry | Exception:
        topic = message.topic or self._topic
        return entry_of(message, "Message", topic, own=message.topic is None)

    async def _publish(self, topic: str, own: bool, entries: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
        return await self._client.call("publish_batch", own=own, TopicArn=topic, PublishBatchRequestEntries=entries)
