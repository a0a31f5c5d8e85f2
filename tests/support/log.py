"""What gw_sqla logs, for tests that wait for a line, or count how often something is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class Log(logging.Handler):
    """Keeps the messages of warnings and worse. To be used in one event loop's thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._changed = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._changed.set()

    def about(self, doing: str) -> list[str]:
        """Return the lines that begin with what was being done."""
        return [line for line in self.lines if line.startswith(doing)]

    def with_text(self, text: str) -> list[str]:
        """Return the lines that have this text in them."""
        return [line for line in self.lines if text in line]

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until the condition holds; it is tested after each line."""
        with anyio.fail_after(seconds):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()

    def assert_said_once(self, doing: str, *, over: bool = True) -> None:
        """Assert that an outage was told once, and once that it is over."""
        lines = self.about(doing)
        assert len(lines) == (2 if over else 1), lines
        assert lines[0].startswith(f"{doing} failed, will be tried again until it works: ")
        if over:
            assert lines[1].startswith(f"{doing} works again after ")


@contextmanager
def kept_log() -> Iterator[Log]:
    """Keep what is logged while the block runs. Must be entered in the event loop, on trio."""
    log, logger = Log(), logging.getLogger("gw_sqla")
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)
