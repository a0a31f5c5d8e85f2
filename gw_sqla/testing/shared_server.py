"""One embedded server for several processes, in a process of its own that ends when the last of them has.

    process ---- flock, finds the socket's path in a file, connects ----> keeper (this module's program)
                 <--- the server's URL, or why there is none ----

Each process keeps its connection to the keeper open until it needs the server no more; a process that dies closes it
too. So nobody has to say goodbye, and the first to start the server need not be the last to leave. When the last
connection is closed the keeper takes no more of them, stops the server and deletes its data; who comes later starts
another. A process connects while it holds the lock, so it cannot meet a keeper that is about to be started; one that is
about to end does not answer, and is taken for none.

Rejected: a server that the first process of a test run owns: with pytest-xdist it may be the first to end. And one of
the process that starts the others: it cannot know whether any test will ask for a database.
"""

from __future__ import annotations

import fcntl
import json
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, make_url

from gw_sqla.errors import ConfigurationError, GwSqlaError
from gw_sqla.testing.template_server import template_server

__all__ = ["join_server", "main"]

_PLACE = "gw_sqla-postgres"
_FIRST_SECONDS = 60.0
"""How long the keeper waits for the first connection."""


@contextmanager
def join_server(folder: Path, schema: str | None) -> Iterator[URL]:
    """Yield the URL of the server whose place the folder has; start it where there is none. Raises ConfigurationError.

    ``schema`` is that of its template, if it is started.
    """
    place = folder / _PLACE
    with (folder / f"{_PLACE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = _connected(place)
        if line is None:
            _start(place, schema)
            line = _connected(place)
    if line is None:
        log = _log(place).read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise ConfigurationError(f"the embedded PostgreSQL of this test run ended while it was started: {log}")
    connection, answer = line
    with connection:
        if "error" in answer:
            raise ConfigurationError(answer["error"])
        yield make_url(answer["url"])


def _connected(place: Path) -> tuple[socket.socket, dict[str, str]] | None:
    """Return a connection to the keeper and its answer, for which this waits; None where nobody answers."""
    try:
        path = place.read_text("utf-8")
    except FileNotFoundError:
        return None
    connection = socket.socket(socket.AF_UNIX)
    with suppress(OSError):
        connection.connect(path)
        with connection.makefile("rb") as lines:
            if answer := lines.readline():
                return connection, json.loads(answer)
    connection.close()
    return None


def _start(place: Path, schema: str | None) -> None:
    """Start the keeper; return when it takes connections."""
    command = [sys.executable, "-m", "gw_sqla.testing.shared_server", str(place), schema or ""]
    with _log(place).open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert keeper.stdout is not None
    keeper.stdout.readline()
    keeper.stdout.close()
    keeper.returncode = 0  # it is nobody's child to wait for: it outlives this process


def _log(place: Path) -> Path:
    return place.with_suffix(".log")


def main() -> None:
    """Keep a server for those who connect."""
    place, schema = Path(sys.argv[1]), sys.argv[2] or None
    home = tempfile.mkdtemp(prefix="gw_sqla-")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            path = f"{home}/socket"
            listener.bind(path)
            listener.listen(1000)
            place.write_text(path, "utf-8")
            print("ready", flush=True)
            try:
                with template_server(schema) as server:
                    _serve(listener, {"url": server.render_as_string(hide_password=False)})
            except GwSqlaError as error:
                _serve(listener, {"error": str(error)})
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _serve(listener: socket.socket, answer: dict[str, str]) -> None:
    """Answer whoever connects, until all have gone."""
    text = json.dumps(answer).encode() + b"\n"
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        connections: set[socket.socket] = set()
        while True:
            ready = selector.select(None if connections else _FIRST_SECONDS)
            if not ready:
                break
            for key, _ in ready:
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    with suppress(OSError):
                        connection.sendall(text)
                    connections.add(connection)
                    selector.register(connection, selectors.EVENT_READ)
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    selector.unregister(key.fileobj)  # nobody says anything: it is closed
                    connections.discard(key.fileobj)
                    key.fileobj.close()
            if not connections:
                break
    listener.close()


if __name__ == "__main__":
    main()
