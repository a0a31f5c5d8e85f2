"""A receiver of webhooks: a real HTTP server on a loopback port, in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What was posted."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """``answer``: the status and headers for a request. ``requests``: all so far, also those that were refused.

    ``text``: what it answers, in place of what it was sent.
    """

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda _: (204, {})
    text: bytes | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hidden"


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def receiving(receiver: Receiver | None = None) -> Iterator[Receiver]:
    """Receive while the block runs; at the same port where one was given that had received before."""
    own = receiver or Receiver()
    with _serving(own):
        yield own


@contextmanager
def _serving(receiver: Receiver) -> Iterator[None]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                receiver.requests.append(request)
            status, headers = receiver.answer(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            text = body if receiver.text is None else receiver.text  # an answer may quote what it was sent
            if status != 204:
                self.send_header("content-length", str(len(text)))
            self.end_headers()
            if status != 204:
                self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the class it is of
            """Say nothing."""

    server = _Server(("127.0.0.1", receiver.port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
