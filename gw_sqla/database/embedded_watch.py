"""The program that ends an embedded PostgreSQL whose program is gone, however that ended: killed, too.

``python embedded_watch.py DIRECTORY``: reads standard input until a byte says that all is in order, or its end that the
other side is gone. Nothing but the standard library is imported: it is started for every server.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_STARTING_SECONDS = 10
"""For which a server that was about to start may take to show itself."""
_ENDING_SECONDS = 10


def main() -> None:
    """Wait for the other side; end the server in the directory, and delete it, unless all is in order."""
    directory = Path(sys.argv[1])
    if sys.stdin.buffer.read(1):
        return
    deadline = time.monotonic() + _STARTING_SECONDS
    while (server := _server(directory)) is None and directory.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    if server is not None:
        _end(server)
    shutil.rmtree(directory, ignore_errors=True)


def _server(directory: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    return None


def _end(server: int) -> None:
    """An immediate shutdown: nobody needs the data any more."""
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGQUIT)
        deadline = time.monotonic() + _ENDING_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.kill(server, 0)
        os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main()
