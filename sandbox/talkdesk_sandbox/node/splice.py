"""Joining two TCP connections byte for byte, with back-pressure and half-close."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable


# Close at once and tell the other side so (RST instead of FIN).
_RESET = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection as a refusing or vanished peer would."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class Splice(asyncio.Protocol):
    """One side of a pair; what it receives its ``peer`` sends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Splice | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """See asyncio.Protocol. The other direction stays open until it ends too."""
        self.ended = True
        if self.peer is None or self.peer.transport is None:
            return False
        if self.peer.ended:
            self.peer.transport.close()
            return False
        self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self.peer is not None and self.peer.transport is not None:
            if error is None:
                self.peer.transport.close()
            else:
                reset(self.peer.transport)


class Front(Splice):
    """The client's side: asks ``choose`` for a backend (host, port) and connects to it.

    A backend that refuses resets the client's connection, as it would without anything in between. ``alive``
    holds the fronts that are open.
    """

    def __init__(self, choose: Callable[[], tuple[str, int] | None], alive: set[Front]) -> None:
        super().__init__()
        self._choose = choose
        self._alive = alive
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._alive.add(self)
        loop = asyncio.get_running_loop()
        # In a moment, and before anything is read: Python 3.11.2 (Debian 12) begins to read right after this
        # call, whether or not that was paused, and what came before the backend is there would be lost.
        loop.call_soon(cast("asyncio.Transport", transport).pause_reading)
        self._connecting = loop.create_task(self._connect())

    async def _connect(self) -> None:
        transport = self.transport
        backend = self._choose()
        if transport is None:
            return
        if backend is None:
            reset(transport)
            return
        back = Splice()
        back.peer = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: back, *backend)
        except OSError:
            reset(transport)
            return
        if transport.is_closing():
            if back.transport is not None:
                back.transport.abort()
            return
        self.peer = back
        transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._alive.discard(self)
        super().connection_lost(error)
