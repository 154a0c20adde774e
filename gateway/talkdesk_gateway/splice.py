"""Two connections that are one WebSocket: bytes go both ways as they come, and a Close of ours ends both.

Subprotocols, extensions, fragments, pings and close codes are between the two ends: nothing of them is
touched. Each direction reads no further than the other side takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from talkdesk_gateway.frames import Frames, close_frame

if TYPE_CHECKING:
    from collections.abc import Coroutine

_CHUNK: Final = 65536
#: How long a frame that has begun may take to end before the connection is cut in the middle of it.
FRAME_SECONDS: Final = 0.5
#: How long the two ends have to say goodbye, in seconds.
GOODBYE_SECONDS: Final = 1.0


@dataclass
class Direction:
    """From one end to the other. ``masked``: the other end is a server, to whom frames are masked."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    masked: bool
    frames: Frames = field(default_factory=Frames)

    async def pump(self) -> None:
        """Until this end says no more."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while data := await self.reader.read(_CHUNK):
                self.writer.write(data)
                self.frames.feed(data)
                await self.writer.drain()

    async def drop(self) -> None:
        """Until this end says no more, passing nothing on."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while await self.reader.read(_CHUNK):
                pass

    async def close(self, code: int, reason: str) -> None:
        """End the frame that is under way, then say Close; a frame that does not end is cut off."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            begun = b""
            async with asyncio.timeout(FRAME_SECONDS):
                while not self.frames.between:
                    data = await self.reader.read(_CHUNK)
                    if not data:
                        return
                    ending = self.frames.rest(data)
                    self.writer.write(data[:ending])
                    begun = data[ending:]
            if not self.frames.closed:
                self.writer.write(close_frame(code, reason, masked=self.masked))
            self.frames.feed(begun)  # after access had ended: it goes nowhere

    async def until_closed(self) -> None:
        """Read on, passing nothing on, until this end has said Close or is gone."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while not self.frames.closed and (data := await self.reader.read(_CHUNK)):
                self.frames.feed(data)


class Splice:
    """Both directions of one WebSocket."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        tenant: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._directions = (
            Direction(client[0], tenant[1], masked=True),
            Direction(tenant[0], client[1], masked=False),
        )

    async def run(self) -> None:
        """Until one end is gone; then the other one has all that was said."""
        to_tenant, to_client = self._directions
        await _until_either(to_tenant.pump(), to_client.pump())

    async def answer(self) -> None:
        """As :meth:`run`, but the tenant hears nothing: where it took no WebSocket, a client's bytes would be
        a request that nobody has decided on."""
        to_tenant, to_client = self._directions
        await _until_either(to_tenant.drop(), to_client.pump())

    async def close(self, code: int, reason: str) -> None:
        """Say Close to both ends, and hear theirs, for at most a moment. Not while ``run`` is running."""
        await asyncio.gather(*(direction.close(code, reason) for direction in self._directions))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await asyncio.gather(*(direction.until_closed() for direction in self._directions))


async def _until_either(*ways: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def end(writer: asyncio.StreamWriter) -> None:
    """Close a connection once it has sent everything, or after a moment."""
    writer.close()
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except (ConnectionError, OSError):
        return
