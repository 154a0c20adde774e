"""A keep-alive connection of HTTP/1.1 that asks one question at a time, with little around it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answered:
    """Status and times (``time.time()``) at which a question was sent and its answer was complete."""

    status: int
    sent: float
    done: float


def request(method: str, path: str, headers: dict[str, str]) -> bytes:
    """A request without body."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass
class Line:
    """One connection to ``address``; it connects when it has to."""

    address: tuple[str, int]
    #: Head of the newest answer, in lower case.
    head: str = field(default="", repr=False)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, repr=False)

    async def ask(self, question: bytes) -> Answered:
        """Raises OSError and asyncio.IncompleteReadError where no answer came."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self.address, limit=1 << 20)
        reader, writer = self._streams
        sent = time.time()
        try:
            writer.write(question)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await _body_read(reader, head)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise
        done = time.time()
        self.head = head.decode("latin-1")
        if b"connection: close" in head:
            self.close()
        return Answered(int(head[9:12]), sent, done)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _body_read(reader: asyncio.StreamReader, head: bytes) -> None:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return
    while b"\r\ntransfer-encoding: chunked" in head:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        await reader.readexactly(size + 2)
        if size == 0:
            return
