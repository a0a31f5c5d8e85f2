"""A Celery app whose tasks note in Redis what they were called with."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery
from redis import Redis

URL = os.environ.get("CELERY_TEST_REDIS", "redis://127.0.0.1:1")
app = Celery("tests", broker=URL)
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@app.task(name="note", bind=True)  # type: ignore[untyped-decorator]
def note(self: Any, *args: Any, **kwargs: Any) -> None:
    with Redis.from_url(URL) as client:
        client.rpush("noted", json.dumps([self.request.id, list(args), kwargs]))
