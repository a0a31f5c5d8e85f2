"""The program that ends an embedded PostgreSQL whose program is gone, however that ended: killed, too.

``python embedded_watch.py DIRECTORY [stays]``: reads standard input until a byte says that all is in order, or its end
that the other side is gone. Nothing but the standard library is imported: it is started for every server.
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
    """Wait for the other side; unless all is in order, end the server, and delete the directory if it does not stay."""
    directory, stays = Path(sys.argv[1]), "stays" in sys.argv[2:]
    if sys.stdin.buffer.read(1):
        return
    deadline = time.monotonic() + _STARTING_SECONDS
    while (server := runs_in(directory / "data")) is None and directory.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    if server is not None:
        _end(server, signal.SIGINT if stays else signal.SIGQUIT)
    if not stays:
        shutil.rmtree(directory, ignore_errors=True)


def runs_in(data: Path) -> int | None:
    """Return the process id of the server that has this data, None where there is none.

    A machine that stopped leaves the file of a server whose number another process may have by now.
    """
    with suppress(OSError, ValueError, IndexError):
        server = int((data / "postmaster.pid").read_text().splitlines()[0])
        if not Path("/proc/self").exists() or Path(f"/proc/{server}/cwd").samefile(data):
            return server
    return None


def _end(server: int, number: int) -> None:
    """Ask for a fast shutdown, or an immediate one, where nobody needs the data any more; kill it if it takes long."""
    with suppress(ProcessLookupError):
        os.kill(server, number)
        deadline = time.monotonic() + _ENDING_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.kill(server, 0)
        os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main()
