"""Asks over HTTP, and badly, on either event loop."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

__all__ = ["Said", "ask", "raw"]


@dataclass(frozen=True)
class Said:
    status: int
    headers: dict[str, str]
    body: str


async def raw(port: int, data: bytes, *, seconds: float = 20) -> bytes:
    """Send bytes, and return all that comes until the other side closes."""
    heard = b""
    with anyio.fail_after(seconds):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            try:
                await stream.send(data)
                while True:
                    heard += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return heard


async def ask(port: int, path: str, method: str = "GET") -> Said:
    said = await raw(port, f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Said(int(first.split()[1]), headers, body.decode())
