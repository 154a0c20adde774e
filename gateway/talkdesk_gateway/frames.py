"""Where WebSocket frames begin and end in a stream of bytes (RFC 6455, section 5.2). Pure.

The relay passes bytes on as they are. It follows the frames for one reason: a Close of its own may stand only
between two of them.
"""

from __future__ import annotations

import secrets
from typing import Final

_CLOSE: Final = 0x8


class Frames:
    """Follows the frames of one direction."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._closing = False
        self._closed = False

    @property
    def between(self) -> bool:
        """All that was fed so far are whole frames."""
        return not self._head and self._left == 0

    @property
    def closed(self) -> bool:
        """A Close has gone by: nothing more may follow it."""
        return self._closed

    def feed(self, data: bytes) -> None:
        """``data`` was passed on."""
        position = 0
        while position < len(data):
            position += self._frame(memoryview(data)[position:])

    def rest(self, data: bytes) -> int:
        """How many bytes of ``data``, which comes next, belong to the frame that has begun; feeds them."""
        position = 0
        while not self.between and position < len(data):
            position += self._frame(memoryview(data)[position:])
        return position

    def _frame(self, data: memoryview) -> int:
        """Follow one head or one payload, as far as ``data`` has it; how many bytes that were."""
        if self._left:
            taken = min(self._left, len(data))
            self._left -= taken
            self._end()
            return taken
        taken = 0
        while taken < len(data):
            self._head.append(data[taken])
            taken += 1
            if (size := _payload_size(self._head)) is not None:
                self._closing = self._head[0] & 0x0F == _CLOSE
                self._head.clear()
                self._left = size
                self._end()
                break
        return taken

    def _end(self) -> None:
        if self._left == 0 and self._closing:
            self._closed = True


def _payload_size(head: bytearray) -> int | None:
    """Bytes that follow a complete head; None while it is not complete."""
    if len(head) < 2:
        return None
    short = head[1] & 0x7F
    extra = {126: 2, 127: 8}.get(short, 0)
    masked = 4 if head[1] & 0x80 else 0
    if len(head) < 2 + extra + masked:
        return None
    return int.from_bytes(head[2 : 2 + extra], "big") if extra else short


def close_frame(code: int, reason: str, *, masked: bool) -> bytes:
    """A Close frame; clients' frames are masked, servers' are not. ``reason`` is cut to 123 bytes."""
    body = code.to_bytes(2, "big") + reason.encode()[:123]
    if not masked:
        return bytes([0x80 | _CLOSE, len(body)]) + body
    mask = secrets.token_bytes(4)
    hidden = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
    return bytes([0x80 | _CLOSE, 0x80 | len(body)]) + mask + hidden
