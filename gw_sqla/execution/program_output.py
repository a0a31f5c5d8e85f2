"""What a program says: its lines, for a log, and the end of its standard error, for whoever asks why it failed."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import ByteReceiveStream

__all__ = ["ProgramOutput"]

_LONGEST_LINE = 4_000
_LONGEST_TAIL = 16_000


class ProgramOutput:
    """What a program says: read to the end, whatever is cancelled meanwhile, or until it is told to end."""

    def __init__(
        self,
        output: ByteReceiveStream,
        error: ByteReceiveStream,
        on_output: Callable[[str], None],
        on_error: Callable[[str], None],
    ) -> None:
        self._streams = ((output, _Lines(on_output)), (error, _Lines(on_error, self._keep)))
        self._tail = bytearray()
        self._scope = anyio.CancelScope(shield=True)
        self._has_ended = anyio.Event()

    async def read(self) -> None:
        """Read both streams."""
        with self._scope:
            async with anyio.create_task_group() as group:
                for stream, lines in self._streams:
                    group.start_soon(_read, stream, lines)
        self._has_ended.set()

    async def has_ended_within(self, seconds: float) -> bool:
        """Wait for the end of both."""
        with anyio.move_on_after(seconds):
            await self._has_ended.wait()
        return self._has_ended.is_set()

    def let_go(self) -> None:
        """Read no more."""
        self._scope.cancel()

    @property
    def error_tail(self) -> str:
        """The end of standard error, without the line, or word, that was cut."""
        tail = bytes(self._tail)
        if len(tail) > _LONGEST_TAIL:
            _, end_of_line, rest = tail.partition(b"\n")
            tail = rest if end_of_line else tail.partition(b" ")[2]
        return tail.decode(errors="replace").strip()

    def _keep(self, chunk: bytes) -> None:
        self._tail += chunk
        del self._tail[: -_LONGEST_TAIL - 1]


class _Lines:
    """Chunks of bytes to lines of text."""

    def __init__(self, on_line: Callable[[str], None], on_chunk: Callable[[bytes], None] | None = None) -> None:
        self._on_line = on_line
        self._on_chunk = on_chunk
        self._begun = b""

    def add(self, chunk: bytes) -> None:
        """Pass on the lines that this completes."""
        if self._on_chunk is not None:
            self._on_chunk(chunk)
        *lines, self._begun = (self._begun + chunk).split(b"\n")
        if len(self._begun) > _LONGEST_LINE:
            lines.append(self._begun)
            self._begun = b""
        for line in lines:
            self._pass_on(line)

    def end(self) -> None:
        """Pass on the last line, where it has no end."""
        self._pass_on(self._begun)
        self._begun = b""

    def _pass_on(self, line: bytes) -> None:
        for begin in range(0, len(line), _LONGEST_LINE):
            text = line[begin : begin + _LONGEST_LINE].decode(errors="replace").rstrip()
            if text:
                self._on_line(text)


async def _read(stream: ByteReceiveStream, lines: _Lines) -> None:
    try:
        while True:
            lines.add(await stream.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    finally:
        lines.end()
