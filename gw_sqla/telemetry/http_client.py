"""Asks over a Unix socket what `gw_sqla.telemetry.http_server` serves there."""

from __future__ import annotations

import anyio
import h11

__all__ = ["get"]

_MOST_BYTES = 64 * 1024 * 1024


async def get(path: str, target: str) -> tuple[int, bytes]:
    """Return the status and the body. Raises OSError where nobody serves, or the answer is none."""
    connection = h11.Connection(h11.CLIENT)
    request = connection.send(h11.Request(method="GET", target=target, headers=[("host", "localhost")])) or b""
    status, body = 0, bytearray()
    async with await anyio.connect_unix(path) as stream:
        try:
            await stream.send(request + (connection.send(h11.EndOfMessage()) or b""))
            while len(body) <= _MOST_BYTES:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive())
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    return status, bytes(body)
        except (anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError) as error:
            raise ConnectionError(f"no whole answer: {type(error).__name__}") from error
    raise ConnectionError("the answer is too long")
